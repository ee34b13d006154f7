//! The detection error trade-off as an SVG, on normal-deviate axes (Martin and others, "The DET curve in assessment of
//! detection task performance", Eurospeech 1997).

use std::fmt::Write as _;

/// One curve: its name and its points (false match rate, false non-match rate).
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// What the legend says.
    pub name: String,
    /// From strict to permissive, both rates 0 to 1.
    pub points: Vec<(f64, f64)>,
}

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 560.0;
const LEFT: f64 = 80.0;
const TOP: f64 = 20.0;
const RIGHT: f64 = 740.0;
const BOTTOM: f64 = 500.0;
const LOWEST: f64 = 1e-6;
const HIGHEST: f64 = 0.5;
const TICKS: [(f64, &str); 10] = [
    (1e-6, "0.0001 %"),
    (1e-5, "0.001 %"),
    (1e-4, "0.01 %"),
    (1e-3, "0.1 %"),
    (5e-3, "0.5 %"),
    (1e-2, "1 %"),
    (5e-2, "5 %"),
    (0.1, "10 %"),
    (0.2, "20 %"),
    (0.4, "40 %"),
];
const COLOURS: [&str; 6] = [
    "#0b5fa5", "#c1440e", "#2e7d32", "#6a1b9a", "#8d6e00", "#37474f",
];

/// Draws the curves; rates outside 0.0001 % to 50 % lie on the frame.
#[must_use]
pub fn svg(curves: &[Curve]) -> String {
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"11\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    for (rate, label) in TICKS {
        let (x, y) = (across(rate), down(rate));
        push(&mut text, &line((x, TOP), (x, BOTTOM)));
        push(&mut text, &line((LEFT, y), (RIGHT, y)));
        push(&mut text, &label_at((x, BOTTOM + 16.0), "middle", label));
        push(&mut text, &label_at((LEFT - 6.0, y + 4.0), "end", label));
    }
    push(
        &mut text,
        &label_at(
            (f64::midpoint(LEFT, RIGHT), BOTTOM + 38.0),
            "middle",
            "false match rate",
        ),
    );
    let middle = f64::midpoint(TOP, BOTTOM);
    push(
        &mut text,
        &format!(
            "<text transform=\"translate(18 {middle}) rotate(-90)\" text-anchor=\"middle\">false non-match rate</text>"
        ),
    );
    for (index, curve) in curves.iter().enumerate() {
        draw(&mut text, curve, index);
    }
    text.push_str("</svg>\n");
    text
}

fn draw(text: &mut String, curve: &Curve, index: usize) {
    let colour = COLOURS[index % COLOURS.len()];
    let points: Vec<String> = curve
        .points
        .iter()
        .map(|(fmr, fnmr)| format!("{:.1},{:.1}", across(*fmr), down(*fnmr)))
        .collect();
    push(
        text,
        &format!(
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.8\" points=\"{}\"/>",
            points.join(" ")
        ),
    );
    let y = TOP + 18.0 * (index as f64 + 1.0);
    push(
        text,
        &format!(
            "<rect x=\"{}\" y=\"{}\" width=\"16\" height=\"3\" fill=\"{colour}\"/>",
            RIGHT - 20.0,
            y - 5.0
        ),
    );
    push(
        text,
        &label_at((RIGHT - 26.0, y), "end", &escaped(&curve.name)),
    );
}

fn push(text: &mut String, element: &str) {
    writeln!(text, "{element}").expect("invariant: writing to a String succeeds");
}

fn line(from: (f64, f64), to: (f64, f64)) -> String {
    format!(
        "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" stroke=\"#ddd\"/>",
        from.0, from.1, to.0, to.1
    )
}

fn label_at(at: (f64, f64), anchor: &str, label: &str) -> String {
    format!(
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{label}</text>",
        at.0, at.1
    )
}

fn escaped(name: &str) -> String {
    name.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

fn across(rate: f64) -> f64 {
    LEFT + (RIGHT - LEFT) * place(rate)
}

fn down(rate: f64) -> f64 {
    BOTTOM - (BOTTOM - TOP) * place(rate)
}

fn place(rate: f64) -> f64 {
    let (low, high) = (normal_deviate(LOWEST), normal_deviate(HIGHEST));
    (normal_deviate(rate.clamp(LOWEST, HIGHEST)) - low) / (high - low)
}

/// The point below which this share (0 < share <= 0.5) of a standard normal distribution lies: formula 26.2.23 of
/// Abramowitz and Stegun, good to 4.5e-4, which is below a tenth of a pixel here.
fn normal_deviate(share: f64) -> f64 {
    let t = (-2.0 * share.ln()).sqrt();
    let above = 2.515_517 + t * (0.802_853 + t * 0.010_328);
    let below = 1.0 + t * (1.432_788 + t * (0.189_269 + t * 0.001_308));
    above / below - t
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_deviate_matches_tables() {
        for (share, deviate) in [
            (0.5, 0.0),
            (0.1, -1.2816),
            (0.025, -1.9600),
            (1e-3, -3.0902),
        ] {
            assert!((normal_deviate(share) - deviate).abs() < 5e-4, "{share}");
        }
    }

    #[test]
    fn each_curve_is_drawn_inside_the_frame_and_named() {
        let points = vec![(0.0, 1.0), (1e-4, 0.01), (1.0, 0.0)];
        let text = svg(&[Curve {
            name: "a < b".to_owned(),
            points,
        }]);
        assert!(text.starts_with("<svg") && text.trim_end().ends_with("</svg>"));
        assert!(text.contains("a &lt; b"));
        assert!(
            text.contains(&format!("points=\"{LEFT:.1},{TOP:.1} ")),
            "{text}"
        );
        assert!(
            text.contains(&format!(" {RIGHT:.1},{BOTTOM:.1}\"")),
            "{text}"
        );
    }
}
