//! The layers of a palm's skin, as a trainer of networks renders them itself.

use super::identity::Identity;

/// The layers of skin round the palm square: creases, fine lines, veins, tone, each `side` x `side` values of 0 to 255,
/// row by row from the finger side, thumb to the right (a left hand is mirrored as in an extracted region). The window
/// reaches from the middle of the square `reach` half sides each way.
pub(crate) fn layers(identity: &Identity, side: usize, reach: f32) -> Vec<u8> {
    let shape = &identity.shape;
    let step = 2.0 * reach * shape.half_side / side as f32;
    let from_middle = |index: usize| (index as f32 + 0.5 - 0.5 * side as f32) * step;
    let mut planes = vec![0; 4 * side * side];
    for row in 0..side {
        for column in 0..side {
            let point = (
                shape.square.0 + from_middle(column),
                shape.square.1 - from_middle(row),
            );
            for (layer, value) in identity.skin.at(point).into_iter().enumerate() {
                planes[(layer * side + row) * side + column] = value as u8;
            }
        }
    }
    planes
}
