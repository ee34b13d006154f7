//! Text of fixed-width columns, in which a Korean character takes two. The one file that names the crate for widths.
//!
//! How wide a character is depends on what shows it: [`width_of`] is for text on a screen of East Asia; a Korean
//! printer prints every character of KS X 1001 double, Greek and Cyrillic letters too. So whoever lays out says how
//! wide.

use unicode_width::UnicodeWidthChar;

/// Columns that a character takes; none for one that joins the one before it.
pub(super) fn width_of(c: char) -> usize {
    c.width_cjk().unwrap_or(0)
}

/// How many columns a character takes.
pub(super) type Width = fn(char) -> usize;

/// Columns that a text takes: the sum of its characters', so that cutting it anywhere changes nothing.
pub(super) fn width(text: &str, of: Width) -> usize {
    text.chars().map(of).fold(0, usize::saturating_add)
}

/// A text that is safe to print: without control characters (a printer obeys them) and without those that turn the
/// direction of writing or are not seen; at most two accents on a letter; Hangul in whole syllables; each run of white
/// space is one space.
pub(super) fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        let word = clean_word(word);
        if !word.is_empty() {
            if !out.is_empty() {
                out.push(' ');
            }
            out.push_str(&word);
        }
    }
    out
}

fn clean_word(word: &str) -> String {
    const JOINED_MAX: u8 = 2;
    let (mut out, mut joined) = (String::new(), 0_u8);
    for c in word.chars().filter(|c| !c.is_control()) {
        if let Some(whole) = out.chars().next_back().and_then(|last| syllable(last, c)) {
            out.pop();
            out.push(whole);
        } else if width_of(c) > 0 {
            joined = 0;
            out.push(c);
        } else if is_joined(c) && joined < JOINED_MAX {
            joined = joined.saturating_add(1);
            out.push(c);
        }
    }
    out
}

/// The Hangul syllable of a leading consonant and a vowel, or of a syllable without a final consonant and one (Unicode,
/// section 3.12). Some systems write Hangul in such parts; printers have whole syllables only.
fn syllable(last: char, next: char) -> Option<char> {
    const FINALS: u32 = 28;
    const VOWELS: u32 = 21;
    let [last, next] = [last, next].map(u32::from);
    let offset = match (last, next) {
        (0x1100..=0x1112, 0x1161..=0x1175) => {
            let lead = last.checked_sub(0x1100)?.checked_mul(VOWELS)?;
            lead.checked_add(next.checked_sub(0x1161)?)?
                .checked_mul(FINALS)?
        }
        (0xac00..=0xd7a3, 0x11a8..=0x11c2) => {
            let offset = last.checked_sub(0xac00)?;
            let is_open = offset.checked_rem(FINALS)? == 0;
            let next = next.checked_sub(0x11a7)?;
            is_open.then(|| offset.checked_add(next)).flatten()?
        }
        _ => return None,
    };
    char::from_u32(offset.checked_add(0xac00)?)
}

/// Whether it takes no columns but is seen: an accent, or a later part of a decomposed Hangul syllable.
fn is_joined(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{1160}'..='\u{11ff}')
}

/// Breaks a clean text into lines of at most `columns`: at spaces, and within a word that is longer than a line.
pub(super) fn wrap(text: &str, columns: usize, of: Width) -> Vec<String> {
    assert!(columns >= 2, "a Korean character takes two columns");
    let (mut lines, mut line) = (Vec::new(), String::new());
    for word in text.split(' ') {
        let space = usize::from(!line.is_empty());
        let together = width(&line, of)
            .saturating_add(space)
            .saturating_add(width(word, of));
        if together > columns && !line.is_empty() {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        for c in word.chars() {
            if width(&line, of).saturating_add(of(c)) > columns {
                lines.push(std::mem::take(&mut line));
            }
            line.push(c);
        }
    }
    lines.push(line);
    lines
}

/// `left` at the left and `right` at the right, in as many lines as it takes.
pub(super) fn pair(left: &str, right: &str, columns: usize, of: Width) -> Vec<String> {
    let gap = |left: &str, right: &str| {
        columns
            .checked_sub(width(left, of))?
            .checked_sub(width(right, of))
            .filter(|gap| *gap > 0 || left.is_empty())
    };
    let mut lines = wrap(left, columns, of);
    let last = lines.pop().unwrap_or_default();
    let mut rights = wrap(right, columns, of).into_iter();
    let first = rights.next().unwrap_or_default();
    match gap(&last, &first) {
        Some(gap) => lines.push(format!("{last}{}{first}", " ".repeat(gap))),
        None => lines.extend([last, at_right(&first, columns, of)]),
    }
    lines.extend(rights.map(|right| at_right(&right, columns, of)));
    lines
}

fn at_right(text: &str, columns: usize, of: Width) -> String {
    let gap = columns.saturating_sub(width(text, of));
    format!("{}{text}", " ".repeat(gap))
}

/// Each line of a text in the middle; no spaces after it.
pub(super) fn centre(text: &str, columns: usize, of: Width) -> Vec<String> {
    let middle = |line: String| {
        let gap = columns.saturating_sub(width(&line, of)) / 2;
        format!("{}{line}", " ".repeat(gap))
    };
    wrap(text, columns, of).into_iter().map(middle).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn korean_takes_two_columns() {
        assert_eq!(width("합계 4,500원", width_of), 12);
        assert_eq!(pair("합계", "4,500원", 16, width_of), ["합계     4,500원"]);
        assert_eq!(
            pair("합계금액은", "4,500원", 16, width_of),
            ["합계금액은", "         4,500원"]
        );
        assert_eq!(centre("가나", 8, width_of), ["  가나"]);
        assert_eq!(wrap("가나다라 마", 7, width_of), ["가나다", "라 마"]);
    }

    #[test]
    fn what_a_printer_would_obey_is_taken_out() {
        assert_eq!(
            clean("a\u{1b}@\r\n b\u{202e}c\u{200b} \t\u{7f} d"),
            "a@ bc d"
        );
        assert_eq!(clean("cafe\u{301}"), "cafe\u{301}");
        assert_eq!(clean("\u{1b}"), "");
        assert_eq!(
            clean(&format!("e{}", "\u{301}".repeat(99))),
            "e\u{301}\u{301}"
        );
    }

    #[test]
    fn hangul_in_parts_is_made_whole() {
        let parts = "\u{1112}\u{1161}\u{11ab}\u{1100}\u{1173}\u{11af} \u{1100}\u{1161}";
        assert_eq!(clean(parts), "한글 가");
        assert_eq!(
            clean("한\u{11ab}"),
            "한\u{11ab}",
            "it has its final consonant"
        );
    }

    proptest! {
        #[test]
        fn lines_fit_and_lose_nothing(left in ".{0,80}", right in ".{0,40}", columns in 2_usize..60) {
            let (left, right) = (clean(&left), clean(&right));
            prop_assert_eq!(&clean(&left), &left, "clean is clean");
            let squeezed = |text: &str| text.replace(' ', "");
            let middle = centre(&format!("{left}{right}"), columns, width_of);
            for lines in [pair(&left, &right, columns, width_of), middle] {
                for line in &lines {
                    prop_assert!(width(line, width_of) <= columns, "{line:?}");
                }
                prop_assert_eq!(squeezed(&lines.concat()), squeezed(&format!("{left}{right}")));
            }
        }
    }
}
