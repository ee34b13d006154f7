//! Rows for people (a table) or for programs (JSON).

use std::fmt::Write;

use palm_proto::{request, v1};
use serde_json::{Map, Value, json};

/// One value of a row.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell {
    Flag(bool),
    List(Vec<String>),
    Money(v1::Money),
    Nothing,
    Number(u64),
    Text(String),
}

impl Cell {
    pub(super) fn money(money: Option<v1::Money>) -> Self {
        money.map_or(Self::Nothing, Self::Money)
    }

    /// RFC 3339.
    pub(super) fn time(time: Option<prost_types::Timestamp>) -> Self {
        time.map_or(Self::Nothing, |time| Self::Text(time.to_string()))
    }

    fn to_text(&self) -> String {
        match self {
            Self::Flag(flag) => if *flag { "yes" } else { "no" }.to_owned(),
            Self::List(items) if items.is_empty() => "none".to_owned(),
            Self::List(items) => items.join("; "),
            // An amount in a currency that this build does not know is shown as it came.
            Self::Money(money) => request::balance(money)
                .map_or_else(|_| format!("{money:?}"), |known| known.to_string()),
            Self::Nothing => String::new(),
            Self::Number(number) => number.to_string(),
            // What others typed must not steer the operator's terminal.
            Self::Text(text) => text.chars().filter(|c| !c.is_control()).collect(),
        }
    }

    fn to_value(&self) -> Value {
        match self {
            Self::Flag(flag) => json!(flag),
            Self::List(items) => json!(items),
            Self::Money(money) => {
                json!({"amount_minor": money.amount_minor, "currency_code": money.currency_code})
            }
            Self::Nothing => Value::Null,
            Self::Number(number) => json!(number),
            Self::Text(text) => json!(text),
        }
    }
}

/// One thing, or a list of things.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sheet {
    columns: &'static [&'static str],
    rows: Vec<Vec<Cell>>,
    is_list: bool,
}

impl Sheet {
    pub(super) fn list(columns: &'static [&'static str]) -> Self {
        Self {
            columns,
            rows: Vec::new(),
            is_list: true,
        }
    }

    pub(super) fn one(columns: &'static [&'static str], row: Vec<Cell>) -> Self {
        let mut sheet = Self {
            columns,
            rows: Vec::new(),
            is_list: false,
        };
        sheet.push(row);
        sheet
    }

    pub(super) fn push(&mut self, row: Vec<Cell>) {
        assert_eq!(
            row.len(),
            self.columns.len(),
            "a row has a cell for each column"
        );
        self.rows.push(row);
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// An array of objects, or one object.
    pub(super) fn to_json(&self) -> String {
        let object = |row: &Vec<Cell>| {
            let cells = self.columns.iter().zip(row);
            let object: Map<_, _> = cells
                .map(|(column, cell)| ((*column).to_owned(), cell.to_value()))
                .collect();
            Value::Object(object)
        };
        let mut rows = self.rows.iter().map(object);
        let value = if self.is_list {
            rows.collect()
        } else {
            rows.next().unwrap_or(Value::Null)
        };
        format!("{value:#}\n")
    }

    /// Columns side by side, or one thing with a line for each column.
    pub(super) fn to_table(&self) -> String {
        if self.is_list {
            self.side_by_side()
        } else {
            self.one_below_the_other()
        }
    }

    fn one_below_the_other(&self) -> String {
        let width = self
            .columns
            .iter()
            .map(|column| column.len())
            .max()
            .unwrap_or(0);
        let mut out = String::new();
        for (column, cell) in self
            .rows
            .iter()
            .flat_map(|row| self.columns.iter().zip(row))
        {
            line(&mut out, &format!("{column:width$}  {}", cell.to_text()));
        }
        out
    }

    fn side_by_side(&self) -> String {
        let head = self
            .columns
            .iter()
            .map(|column| column.to_uppercase())
            .collect();
        let body = self
            .rows
            .iter()
            .map(|row| row.iter().map(Cell::to_text).collect());
        let rows: Vec<Vec<String>> = std::iter::once(head).chain(body).collect();
        let widths: Vec<usize> = (0..self.columns.len())
            .map(|n| {
                rows.iter()
                    .map(|row| row[n].chars().count())
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        let mut out = String::new();
        for row in rows {
            let cells = row
                .iter()
                .zip(&widths)
                .map(|(cell, width)| format!("{cell:width$}"));
            line(&mut out, &cells.collect::<Vec<_>>().join("  "));
        }
        out
    }
}

fn line(out: &mut String, text: &str) {
    writeln!(out, "{}", text.trim_end()).expect("invariant: writing to a string cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sheet() -> Sheet {
        let mut sheet = Sheet::list(&["name", "balance", "revoked"]);
        let money = v1::Money {
            amount_minor: 4_500,
            currency_code: "KRW".to_owned(),
        };
        sheet.push(vec![
            Cell::Text("a\u{1b}[2J".to_owned()),
            Cell::Money(money),
            Cell::Flag(false),
        ]);
        sheet
    }

    #[test]
    fn table_has_a_head_and_no_control_characters() {
        let text = "NAME   BALANCE    REVOKED\na[2J   KRW 4,500  no\n";
        assert_eq!(
            sheet().to_table(),
            text.replace("   B", "  B").replace("J   K", "J  K")
        );
    }

    #[test]
    fn json_keeps_types() {
        let value: Value = serde_json::from_str(&sheet().to_json()).unwrap();
        assert_eq!(value[0]["balance"]["amount_minor"], 4_500);
        assert_eq!(value[0]["revoked"], false);
    }
}
