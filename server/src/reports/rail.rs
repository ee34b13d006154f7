//! A rail's report, read for reconciliation: CSV (RFC 4180, UTF-8) with these columns, in any order; others are passed
//! over.
//!
//! | column | what |
//! |---|---|
//! | `reference` | the rail's own reference of the payment, as it told us: 1 to 64 printable ASCII characters |
//! | `movement` | `capture` or `refund` |
//! | `amount` | before fees, such as `45.00` or `4500` |
//! | `fee` | what the rail keeps of it; empty: nothing |
//! | `currency` | ISO 4217 code |
//! | `day` | the rail's day, such as `2026-11-24` |
//! | `settlement` | the reference under which the bank books it with others; empty: it is booked by itself |
//!
//! Providers' own exports name these differently: rename their columns. Rows of no movement at the bank, such as
//! authorisations, are left out by whoever makes the file.

use palm_proto::money::{AMOUNT_MAX, Currency};

use super::{
    money::parse_decimal,
    reconcile::{Movement, RailRow},
};
use crate::limits::RAIL_ROWS_MAX;

const REFERENCE_MAX: usize = 64;

/// Why a report cannot be used; nothing of what stands in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RailReportError {
    /// The first line lacks a column.
    #[error("the first line lacks the column {0}")]
    Column(&'static str),
    /// A cell is not what its column holds.
    #[error("row {row}: {column} cannot be read")]
    Cell {
        /// The row; the heading is the first.
        row: usize,
        /// The column.
        column: &'static str,
    },
    /// More rows than [`RAIL_ROWS_MAX`].
    #[error("a report has at most {RAIL_ROWS_MAX} rows: split it")]
    Rows,
    /// Not CSV in UTF-8.
    #[error("row {0}: this is not CSV in UTF-8")]
    Shape(
        /// The row; the heading is the first.
        usize,
    ),
}

/// Where each column is.
struct Columns([usize; 7]);

const NAMES: [&str; 7] = [
    "reference",
    "movement",
    "amount",
    "fee",
    "currency",
    "day",
    "settlement",
];

/// Reads a report, of which every row must be in `currency`.
///
/// # Errors
/// [`RailReportError`].
pub fn read_rail_report(bytes: &[u8], currency: Currency) -> Result<Vec<RailRow>, RailReportError> {
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_reader(bytes);
    let columns = Columns::of(reader.headers().map_err(|_| RailReportError::Shape(1))?)?;
    let mut rows = Vec::new();
    for record in reader.records() {
        if rows.len() == RAIL_ROWS_MAX {
            return Err(RailReportError::Rows);
        }
        let number = rows.len().saturating_add(2);
        let record = record.map_err(|_| RailReportError::Shape(number))?;
        rows.push(columns.row(&record, number, currency)?);
    }
    Ok(rows)
}

impl Columns {
    fn of(heading: &csv::StringRecord) -> Result<Self, RailReportError> {
        let mut places = [0; 7];
        for (place, name) in places.iter_mut().zip(NAMES) {
            let at = heading.iter().position(|cell| cell == name);
            *place = at.ok_or(RailReportError::Column(name))?;
        }
        Ok(Self(places))
    }

    fn row(
        &self,
        record: &csv::StringRecord,
        row: usize,
        currency: Currency,
    ) -> Result<RailRow, RailReportError> {
        let wrong = |column| RailReportError::Cell { row, column };
        let cells = self.0.map(|place| record.get(place).unwrap_or_default());
        let [reference, movement, amount, fee, code, day, settlement] = cells;
        let minor =
            parse_decimal(amount, currency).filter(|minor| (1..=AMOUNT_MAX).contains(minor));
        let fee_minor = match fee {
            "" => Some(0),
            fee => parse_decimal(fee, currency).filter(|minor| *minor <= AMOUNT_MAX),
        };
        if code != currency.code() {
            return Err(wrong("currency"));
        }
        Ok(RailRow {
            reference: text(reference).ok_or_else(|| wrong("reference"))?,
            movement: match movement {
                "capture" => Movement::Capture,
                "refund" => Movement::Refund,
                _ => return Err(wrong("movement")),
            },
            minor: minor.ok_or_else(|| wrong("amount"))?,
            fee_minor: fee_minor.ok_or_else(|| wrong("fee"))?,
            day: day.parse().map_err(|_| wrong("day"))?,
            settlement: match settlement {
                "" => None,
                settlement => Some(text(settlement).ok_or_else(|| wrong("settlement"))?),
            },
        })
    }
}

fn text(cell: &str) -> Option<String> {
    let printable = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
    let is_right = (1..=REFERENCE_MAX).contains(&cell.len()) && cell.bytes().all(printable);
    is_right.then(|| cell.to_owned())
}

/// Reads any bytes as a rail's report; nothing may panic, whatever they are.
#[doc(hidden)]
pub fn fuzz_rail_report(bytes: &[u8]) {
    let _rows = read_rail_report(bytes, Currency::KRW).map_or(0, |rows| rows.len());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const REPORT: &str = "day,reference,movement,amount,fee,currency,settlement,note\r\n\
        2026-11-24,pi_1,capture,45.00,1.05,EUR,S1,\"a, b\"\r\n\
        2026-11-25,pi_1,refund,5,,EUR,,\r\n";

    fn eur() -> Currency {
        "EUR".parse().unwrap()
    }

    #[test]
    fn rows_are_read_by_the_names_of_their_columns() {
        for report in [
            REPORT.to_owned(),
            format!("\u{feff}{}", REPORT.replace("\r\n", "\n")),
        ] {
            let rows = read_rail_report(report.as_bytes(), eur()).unwrap();
            let told: Vec<_> = rows
                .iter()
                .map(|row| {
                    (
                        row.movement,
                        row.minor,
                        row.fee_minor,
                        row.settlement.as_deref(),
                    )
                })
                .collect();
            let expected = [
                (Movement::Capture, 4_500, 105, Some("S1")),
                (Movement::Refund, 500, 0, None),
            ];
            assert_eq!(told, expected);
            assert_eq!(rows[1].day.to_string(), "2026-11-25");
        }
    }

    #[test]
    fn what_cannot_be_read_is_named_by_line_and_column() {
        let cell = |from: &str, to: &str| {
            assert!(REPORT.contains(from), "{from}");
            read_rail_report(REPORT.replacen(from, to, 1).as_bytes(), eur()).unwrap_err()
        };
        let expected = |row, column| RailReportError::Cell { row, column };
        assert_eq!(cell("45.00", "45.001"), expected(2, "amount"));
        assert_eq!(cell("45.00", "0"), expected(2, "amount"));
        assert_eq!(cell("1.05", "x"), expected(2, "fee"));
        assert_eq!(cell(",EUR,,", ",USD,,"), expected(3, "currency"));
        assert_eq!(cell("refund", "void"), expected(3, "movement"));
        assert_eq!(cell("2026-11-25", "25.11.2026"), expected(3, "day"));
        assert_eq!(cell("pi_1", ""), expected(2, "reference"));
        assert_eq!(cell("pi_1", "결제"), expected(2, "reference"));
        assert_eq!(cell("fee,", "cost,"), RailReportError::Column("fee"));
        assert_eq!(cell(",S1,", ","), RailReportError::Shape(2));
    }

    proptest! {
        #[test]
        fn no_bytes_crash_the_reader(bytes in prop::collection::vec(any::<u8>(), 0..200), at in 0..150_usize) {
            fuzz_rail_report(&bytes);
            let mut report = REPORT.as_bytes().to_vec();
            report.truncate(at);
            report.extend_from_slice(&bytes);
            fuzz_rail_report(&report);
        }
    }
}
