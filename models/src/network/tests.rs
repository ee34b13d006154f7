use super::*;
use crate::image::GreyImage;
use crate::region;

const PIXELS: usize = REGION_PIXELS * REGION_PIXELS;
const SAMPLES: &[u8] = include_bytes!("../../weights/samples.bin");

/// Regions, and what PyTorch makes of each.
fn samples() -> impl Iterator<Item = (GreyImage, Vec<f32>)> {
    SAMPLES.chunks_exact(PIXELS + 4 * DIMENSIONS).map(|sample| {
        let (grey, answer) = sample.split_at(PIXELS);
        let grey = GreyImage::new(REGION_PIXELS, REGION_PIXELS, grey.to_vec()).unwrap();
        let answer = answer.as_chunks().0.iter();
        (
            grey,
            answer.map(|bytes| f32::from_le_bytes(*bytes)).collect(),
        )
    })
}

#[test]
fn answers_are_those_of_pytorch() {
    assert!(samples().count() >= 4);
    for (grey, expected) in samples() {
        let answer = embedding(&region::normalise(&grey), &[true; PIXELS]);
        let size = expected
            .iter()
            .fold(0.0_f32, |most, value| most.max(value.abs()));
        for (own, expected) in answer.components().iter().zip(&expected) {
            assert!(
                (own - expected).abs() <= 1e-3 * size,
                "{own} for {expected}"
            );
        }
    }
}
