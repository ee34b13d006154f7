//! A picture in a terminal: two rows of it in each line, by the upper half block in one grey over another.

use palm_driver::Frame;

/// The frame, `columns` characters wide, as lines of text with colours (24 bits, as every terminal of today has them).
pub(crate) fn half_blocks(frame: &Frame, columns: u32) -> String {
    let columns = columns.clamp(1, frame.width());
    // A character is twice as high as wide, and holds two rows.
    let rows = (u64::from(frame.height()) * u64::from(columns) / u64::from(frame.width())).max(2);
    let rows = u32::try_from(rows / 2 * 2).unwrap_or(2);
    let grey = |x, y| mean(frame, (x, columns), (y, rows));
    let mut text = String::new();
    for y in (0..rows).step_by(2) {
        for x in 0..columns {
            let (above, below) = (grey(x, y), grey(x, y + 1));
            text.push_str(&format!(
                "\x1b[38;2;{above};{above};{above}m\x1b[48;2;{below};{below};{below}m\u{2580}"
            ));
        }
        text.push_str("\x1b[0m\n");
    }
    text
}

/// Mean grey of the part of the frame that one half character stands for.
fn mean(frame: &Frame, (x, columns): (u32, u32), (y, rows): (u32, u32)) -> u64 {
    let part = |at: u32, of: u32, side: u32| {
        let edge = |at: u32| u64::from(at) * u64::from(side) / u64::from(of);
        let (from, to) = (edge(at), edge(at + 1));
        let index = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
        index(from)..index(to.max(from + 1))
    };
    let width = usize::try_from(frame.width()).unwrap_or(usize::MAX);
    let columns = part(x, columns, frame.width());
    let (mut sum, mut count) = (0, 0);
    for row in part(y, rows, frame.height()) {
        let row = frame.pixels().get(row * width..).unwrap_or_default();
        for grey in row.get(columns.clone()).unwrap_or_default() {
            sum += u64::from(*grey);
            count += 1;
        }
    }
    sum / u64::from(count.max(1_u32))
}

#[cfg(test)]
mod tests {
    use super::*;
    use palm_driver::{Light, Shot};

    fn frame(width: u32, height: u32, pixels: Vec<u8>) -> Frame {
        let shot = Shot {
            light: Light::Nir,
            led_mask: 1,
            exposure_us: 100,
        };
        Frame::new(shot, width, height, pixels).unwrap()
    }

    #[test]
    fn two_rows_make_a_line_and_parts_are_averaged() {
        let text = half_blocks(&frame(2, 2, vec![10, 20, 30, 40]), 2);
        assert_eq!(
            text,
            "\x1b[38;2;10;10;10m\x1b[48;2;30;30;30m\u{2580}\x1b[38;2;20;20;20m\x1b[48;2;40;40;40m\u{2580}\x1b[0m\n"
        );
        let text = half_blocks(&frame(4, 4, (0..16).collect()), 2);
        assert_eq!(text.lines().count(), 1);
        assert!(
            text.starts_with("\x1b[38;2;2;2;2m"),
            "(0 + 1 + 4 + 5) / 4: {text:?}"
        );
    }

    #[test]
    fn any_size_gives_a_picture() {
        for (width, height, columns) in [(1, 1, 0), (1, 1, 80), (3, 100, 80), (100, 3, 7)] {
            let pixels = vec![9; usize::try_from(width * height).unwrap()];
            let text = half_blocks(&frame(width, height, pixels), columns);
            assert!(text.contains("\x1b[38;2;9;9;9m"), "{width} x {height}");
        }
    }
}
