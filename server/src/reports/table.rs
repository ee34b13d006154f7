//! Rows for a spreadsheet: RFC 4180, UTF-8, lines ended by CR LF.
//!
//! A cell that a spreadsheet would take for a formula begins with an apostrophe instead (OWASP, "CSV Injection": cells
//! that begin with `=`, `+`, `-`, `@`, tab or carriage return). A plain number keeps its sign: it cannot run anything.

/// A table being written.
#[derive(Debug, Clone, Default)]
pub struct Table(String);

impl Table {
    /// An empty table with its heading.
    #[must_use]
    pub fn new(heading: &[&str]) -> Self {
        let mut table = Self::default();
        table.row(heading);
        table
    }

    /// Adds a row.
    pub fn row<T: AsRef<str>>(&mut self, cells: &[T]) {
        for (index, cell) in cells.iter().enumerate() {
            if index > 0 {
                self.0.push(',');
            }
            self.cell(cell.as_ref());
        }
        self.0.push_str("\r\n");
    }

    fn cell(&mut self, text: &str) {
        let guard = if is_formula(text) { "'" } else { "" };
        if text.contains(['"', ',', '\r', '\n']) {
            self.0.push('"');
            self.0.push_str(guard);
            self.0.push_str(&text.replace('"', "\"\""));
            self.0.push('"');
        } else {
            self.0.push_str(guard);
            self.0.push_str(text);
        }
    }

    /// The table's text.
    #[must_use]
    pub fn finish(self) -> String {
        self.0
    }
}

fn is_formula(text: &str) -> bool {
    text.starts_with(['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠']) && !is_number(text)
}

/// A sign, digits, perhaps a point and more digits.
fn is_number(text: &str) -> bool {
    let text = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    [whole, fraction]
        .iter()
        .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A reader of RFC 4180 that shares nothing with the writer.
    pub(in crate::reports) fn read(text: &str) -> Vec<Vec<String>> {
        let (mut rows, mut row, mut cell) = (Vec::new(), Vec::new(), String::new());
        let mut quoted = false;
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            match (quoted, c) {
                (true, '"') if chars.peek() == Some(&'"') => cell.push(chars.next().unwrap()),
                (true, '"') => quoted = false,
                (true, c) => cell.push(c),
                (false, '"') => {
                    assert!(cell.is_empty(), "a quote inside a plain cell");
                    quoted = true;
                }
                (false, ',') => row.push(std::mem::take(&mut cell)),
                (false, '\r') => {
                    assert_eq!(chars.next(), Some('\n'), "a carriage return alone");
                    row.push(std::mem::take(&mut cell));
                    rows.push(std::mem::take(&mut row));
                }
                (false, '\n') => panic!("a line feed alone"),
                (false, c) => cell.push(c),
            }
        }
        assert!(row.is_empty() && cell.is_empty() && !quoted, "an open end");
        rows
    }

    #[test]
    fn cells_that_could_run_are_disarmed() {
        let mut table = Table::new(&["a", "b"]);
        table.row(&["=1+1", "-4.50"]);
        table.row(&["@SUM(A1),\"x\"", "-cmd|' /C calc'!A0"]);
        assert_eq!(
            table.finish(),
            "a,b\r\n'=1+1,-4.50\r\n\"'@SUM(A1),\"\"x\"\"\",'-cmd|' /C calc'!A0\r\n"
        );
    }

    proptest! {
        #[test]
        fn tables_read_back(rows in prop::collection::vec(prop::collection::vec(".*|[-=+@\",\r\n]{0,4}", 3), 0..6)) {
            let mut table = Table::new(&["one", "two", "three"]);
            for row in &rows {
                table.row(row);
            }
            let read = read(&table.finish());
            prop_assert_eq!(read.len(), rows.len() + 1);
            for (read, written) in read[1..].iter().zip(&rows) {
                for (read, written) in read.iter().zip(written) {
                    let guard = if is_formula(written) { "'" } else { "" };
                    prop_assert_eq!(read, &format!("{guard}{written}"));
                    prop_assert!(!is_formula(read), "{}", read);
                }
            }
        }
    }
}
