//! The veins under the palm: a tree from the wrist to the fingers, seen in near infrared only.
//!
//! After PVTree, simplified to two dimensions: trunks from the wrist to the fingers, then
//! terminals attached one by one to the nearest point of the tree; a vein is as thick as the number of terminals that
//! it drains calls for (Murray's law). The bifurcation points are not optimised.

use super::canvas::{Ink, Point, Stroke};
use super::outline::Shape;
use super::random::{Rng, Span};
use super::ranges::VeinRanges;

struct Node {
    at: Point,
    parent: Option<usize>,
    terminals: u16,
}

/// The strokes of the tree.
pub(crate) fn drawn(ranges: &VeinRanges, shape: &Shape, rng: &mut Rng) -> Vec<Stroke> {
    let mut nodes = Vec::new();
    trunks(&mut nodes, ranges, shape, rng);
    for _ in 0..rng.count(ranges.terminals) {
        let (x, y) = (2.2 * rng.unit() - 1.1, 2.4 * rng.unit() - 1.35);
        attach(&mut nodes, super::creases::on_hand(shape, (x, y)), 1.2, rng);
    }
    drain(&mut nodes);
    strokes(&nodes, ranges, rng)
}

/// From two or three roots at the wrist to each finger.
fn trunks(nodes: &mut Vec<Node>, ranges: &VeinRanges, shape: &Shape, rng: &mut Rng) {
    let roots = rng.count(ranges.roots);
    for root in 0..roots {
        let u = -16.0 + 32.0 * (root as f32 + 0.5) / roots as f32 + 3.0 * rng.normal();
        nodes.push(Node {
            at: (u, -100.0),
            parent: None,
            terminals: 0,
        });
        let start = nodes.len() - 1;
        grow(nodes, start, (u + 5.0 * rng.normal(), -52.0), 1.4, rng);
    }
    let exits = shape.chains(0.4);
    for exit in exits.iter().take(4) {
        let jitter = (4.0 * rng.normal(), 4.0 * rng.normal());
        let bend = (
            exit[0].0 * 0.55 + 9.0 * rng.normal(),
            -8.0 + 12.0 * rng.normal(),
        );
        attach(nodes, bend, 1.8, rng);
        attach(
            nodes,
            (exit[0].0 + jitter.0, exit[0].1 + jitter.1),
            1.8,
            rng,
        );
        let side = 5.0 * if rng.chance(0.5) { 1.0 } else { -1.0 };
        attach(nodes, (exit[2].0 + side, exit[2].1), 1.0, rng);
    }
}

/// Joins `to` to the nearest node, preferring those nearer the wrist.
fn attach(nodes: &mut Vec<Node>, to: Point, wander: f32, rng: &mut Rng) {
    let cost = |node: &Node| {
        let (du, dv) = (node.at.0 - to.0, node.at.1 - to.1);
        (du * du + dv * dv).sqrt() + 0.5 * (node.at.1 - to.1).max(0.0)
    };
    let nearest = (0..nodes.len()).min_by(|a, b| cost(&nodes[*a]).total_cmp(&cost(&nodes[*b])));
    if let Some(nearest) = nearest {
        grow(nodes, nearest, to, wander, rng);
    }
}

/// A winding path of short steps.
fn grow(nodes: &mut Vec<Node>, from: usize, to: Point, wander: f32, rng: &mut Rng) {
    let start = nodes[from].at;
    let (du, dv) = (to.0 - start.0, to.1 - start.1);
    let length = (du * du + dv * dv).sqrt();
    let steps = (length / 2.5).ceil().clamp(1.0, 120.0) as u16;
    // A branch leaves its vein in that vein's direction and bends towards its end.
    let lead = nodes[from].parent.map_or((0.0, 0.0), |before| {
        let (au, av) = (start.0 - nodes[before].at.0, start.1 - nodes[before].at.1);
        let unit = 0.45 * length / (au * au + av * av).sqrt().max(1e-3);
        (au * unit - 0.45 * du, av * unit - 0.45 * dv)
    });
    let bow = 0.06 * rng.normal();
    let mut parent = from;
    let mut drift = 0.0;
    for k in 1..=steps {
        let t = f32::from(k) / f32::from(steps);
        drift = 0.8 * drift + 0.35 * wander * rng.normal();
        let off =
            (4.0 * bow * length * t * (1.0 - t) + drift * (1.0 - t).sqrt()) / length.max(1e-3);
        let bend = 2.0 * t * (1.0 - t) * (1.0 - t);
        let at = (
            start.0 + du * t - dv * off + bend * lead.0,
            start.1 + dv * t + du * off + bend * lead.1,
        );
        nodes.push(Node {
            at,
            parent: Some(parent),
            terminals: u16::from(k == steps),
        });
        parent = nodes.len() - 1;
    }
}

/// Sums the terminals up to the roots; a parent always stands before its children.
fn drain(nodes: &mut [Node]) {
    for index in (0..nodes.len()).rev() {
        if let Some(parent) = nodes[index].parent {
            nodes[parent].terminals = nodes[parent]
                .terminals
                .saturating_add(nodes[index].terminals);
        }
    }
}

/// One stroke a step; how deep a vein lies, and so how dark it is, varies slowly over the palm.
fn strokes(nodes: &[Node], ranges: &VeinRanges, rng: &mut Rng) -> Vec<Stroke> {
    let thinnest = rng.within(ranges.width);
    let depth = super::random::Field::normal(rng, 22.0, 200.0, 270.0);
    let fade = rng.within(Span(0.12, 0.3));
    let ink = |node: &Node| {
        let buried = depth.at(node.at.0 + 80.0, node.at.1 + 105.0);
        let calibre = f32::from(node.terminals.min(40)).powf(1.0 / 3.0);
        Ink {
            at: node.at,
            half_width: thinnest * (0.75 + 0.33 * calibre),
            depth: (0.42 + 0.16 * calibre - fade * buried).clamp(0.05, 1.0),
        }
    };
    nodes
        .iter()
        .filter_map(|node| node.parent.map(|parent| (node, &nodes[parent])))
        .map(|(node, parent)| Stroke {
            points: vec![ink(parent), ink(node)],
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synth::ranges::ORDINARY;

    #[test]
    fn the_tree_reaches_from_the_wrist_to_the_fingers_and_thins_out() {
        let mut rng = Rng::new(&[5]);
        let shape = Shape::drawn(&ORDINARY.hand, &mut rng);
        let veins = drawn(&ORDINARY.vein, &shape, &mut rng);
        let ends = || veins.iter().flat_map(|vein| &vein.points);
        let (low, high) = ends().fold((0.0f32, 0.0f32), |(low, high), ink| {
            (low.min(ink.at.1), high.max(ink.at.1))
        });
        assert!(low < -90.0 && high > 60.0, "{low} {high}");
        let widest = |from: f32, to: f32| {
            let inside = ends().filter(|ink| (from..to).contains(&ink.at.1));
            inside.map(|ink| ink.half_width).fold(0.0, f32::max)
        };
        assert!(widest(-100.0, -60.0) > 1.2 * widest(70.0, 150.0));
    }
}
