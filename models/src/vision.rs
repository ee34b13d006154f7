//! The few operations of OpenCV that the extractor uses, as plain functions over [`GreyImage`] and slices.
//!
//! The only file that names OpenCV. Results are written straight into images of ours, so that what OpenCV reads and
//! returns is wiped with them; its own scratch buffers are not. A mask is an image of 0 and 255.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "pixel maths: every float is within its integer's range before it is cut"
)]

use opencv::core::{self, BorderTypes, Mat, Point, Scalar, Size, Vector};
use opencv::imgproc;

use crate::image::GreyImage;

const WORKS: &str = "invariant: OpenCV takes 8-bit images of 1 to 4096 pixels a side";

/// A brush for opening and closing.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Brush {
    /// A disc of this radius, pixels.
    Disc(f32),
    /// A straight line: half its length along x and along y, pixels.
    Line(f32, f32),
}

/// The image at another size; each pixel the mean of those it stands for.
pub(crate) fn resize(image: &GreyImage, width: usize, height: usize) -> GreyImage {
    let mut out = blank(width, height);
    let size = Size::new(int(width), int(height));
    imgproc::resize(
        &view(image),
        &mut view_mut(&mut out),
        size,
        0.0,
        0.0,
        imgproc::INTER_AREA,
    )
    .expect(WORKS);
    out
}

/// Gaussian smoothing; `sigma` in pixels.
pub(crate) fn smooth(image: &GreyImage, sigma: f32) -> GreyImage {
    let mut out = blank(image.width(), image.height());
    let (source, mut target) = (view(image), view_mut(&mut out));
    let border = BorderTypes::BORDER_REPLICATE.into();
    imgproc::gaussian_blur(
        &source,
        &mut target,
        Size::default(),
        sigma.into(),
        0.0,
        border,
    )
    .expect(WORKS);
    drop(target);
    out
}

/// Gaussian smoothing of a square image of real numbers.
pub(crate) fn smooth_square(values: &[f32], side: usize, sigma: f64) -> Vec<f32> {
    let mut out = vec![0.0; values.len()];
    let source = Mat::new_rows_cols_with_data(int(side), int(side), values).expect(WORKS);
    let mut target = Mat::new_rows_cols_with_data_mut(int(side), int(side), &mut out).expect(WORKS);
    let border = BorderTypes::BORDER_REFLECT.into();
    imgproc::gaussian_blur(&source, &mut target, Size::default(), sigma, 0.0, border).expect(WORKS);
    drop(target);
    out
}

/// Power of each frequency of a square image of real numbers, in the discrete Fourier transform's order.
pub(crate) fn power_spectrum(values: &[f32], side: usize) -> Vec<f32> {
    let mut out = vec![core::Vec2f::default(); values.len()];
    let source = Mat::new_rows_cols_with_data(int(side), int(side), values).expect(WORKS);
    let mut target = Mat::new_rows_cols_with_data_mut(int(side), int(side), &mut out).expect(WORKS);
    core::dft(&source, &mut target, core::DFT_COMPLEX_OUTPUT, 0).expect(WORKS);
    drop(target);
    out.iter()
        .map(|part| part[0] * part[0] + part[1] * part[1])
        .collect()
}

/// The grey level that parts the image into two classes best (Otsu 1979): above it is the bright one.
pub(crate) fn otsu(image: &GreyImage) -> u8 {
    let mut out = blank(image.width(), image.height());
    let mode = imgproc::THRESH_BINARY | imgproc::THRESH_OTSU;
    let level =
        imgproc::threshold(&view(image), &mut view_mut(&mut out), 0.0, 255.0, mode).expect(WORKS);
    level as u8
}

/// Takes away what the brush does not fit into.
pub(crate) fn open(image: &GreyImage, brush: Brush) -> GreyImage {
    morphology(image, brush, imgproc::MORPH_OPEN)
}

/// Fills what the brush does not fit into.
pub(crate) fn close(image: &GreyImage, brush: Brush) -> GreyImage {
    morphology(image, brush, imgproc::MORPH_CLOSE)
}

fn morphology(image: &GreyImage, brush: Brush, operation: i32) -> GreyImage {
    let mut out = blank(image.width(), image.height());
    let (width, height, bytes) = kernel(brush);
    let kernel = Mat::new_rows_cols_with_data(int(height), int(width), &bytes).expect(WORKS);
    imgproc::morphology_ex(
        &view(image),
        &mut view_mut(&mut out),
        operation,
        &kernel,
        Point::new(-1, -1),
        1,
        core::BORDER_CONSTANT,
        imgproc::morphology_default_border_value().expect(WORKS),
    )
    .expect(WORKS);
    out
}

fn kernel(brush: Brush) -> (usize, usize, Vec<u8>) {
    let (reach_x, reach_y) = match brush {
        Brush::Disc(radius) => (radius.round(), radius.round()),
        Brush::Line(x, y) => (x.abs().round(), y.abs().round()),
    };
    let (columns, rows) = (reach_x as i32, reach_y as i32);
    let inside = |x: f32, y: f32| match brush {
        Brush::Disc(radius) => x.hypot(y) <= radius.max(0.5),
        Brush::Line(along_x, along_y) => {
            (x * along_y - y * along_x).abs() <= 0.5 * along_x.abs().max(along_y.abs()).max(1.0)
        }
    };
    let bytes = (-rows..=rows)
        .flat_map(|y| (-columns..=columns).map(move |x| (x, y)))
        .map(|(x, y)| u8::from(inside(x as f32, y as f32)))
        .collect();
    ((2 * columns + 1) as usize, (2 * rows + 1) as usize, bytes)
}

/// The distance in pixels from each pixel of the mask to the nearest one outside it; what is beyond the image is
/// outside.
pub(crate) fn distances(mask: &GreyImage) -> Vec<f32> {
    let (width, height) = (mask.width(), mask.height());
    let mut padded = vec![0; (width + 2) * (height + 2)];
    for (to, from) in padded
        .chunks_exact_mut(width + 2)
        .skip(1)
        .zip(mask.pixels().chunks_exact(width))
    {
        to[1..=width].copy_from_slice(from);
    }
    let mut out = vec![0.0_f32; padded.len()];
    let source =
        Mat::new_rows_cols_with_data(int(height + 2), int(width + 2), &padded).expect(WORKS);
    let mut target =
        Mat::new_rows_cols_with_data_mut(int(height + 2), int(width + 2), &mut out).expect(WORKS);
    imgproc::distance_transform(&source, &mut target, imgproc::DIST_L2, 5, core::CV_32F)
        .expect(WORKS);
    drop(target);
    out.chunks_exact(width + 2)
        .skip(1)
        .take(height)
        .flat_map(|row| row[1..=width].iter().copied())
        .collect()
}

/// The outer contours of the mask's parts, pixel by pixel, each with its area; the largest first.
pub(crate) fn contours(mask: &GreyImage) -> Vec<Vec<(i32, i32)>> {
    let mut found: Vector<Vector<Point>> = Vector::new();
    let (mode, method) = (imgproc::RETR_EXTERNAL, imgproc::CHAIN_APPROX_NONE);
    imgproc::find_contours(&view(mask), &mut found, mode, method, Point::default()).expect(WORKS);
    let mut contours: Vec<(f64, Vec<(i32, i32)>)> = found
        .iter()
        .map(|contour| {
            let area = imgproc::contour_area(&contour, false).expect(WORKS);
            (
                area,
                contour.iter().map(|point| (point.x, point.y)).collect(),
            )
        })
        .collect();
    contours.sort_by(|a, b| b.0.total_cmp(&a.0));
    contours.into_iter().map(|(_, contour)| contour).collect()
}

/// A mask of what the contour encloses.
pub(crate) fn filled(contour: &[(i32, i32)], width: usize, height: usize) -> GreyImage {
    let mut out = blank(width, height);
    let points: Vector<Point> = contour.iter().map(|(x, y)| Point::new(*x, *y)).collect();
    let mut contours: Vector<Vector<Point>> = Vector::new();
    contours.push(points);
    imgproc::draw_contours(
        &mut view_mut(&mut out),
        &contours,
        -1,
        Scalar::all(255.0),
        imgproc::FILLED,
        imgproc::LINE_8,
        &core::no_array(),
        0,
        Point::default(),
    )
    .expect(WORKS);
    out
}

fn blank(width: usize, height: usize) -> GreyImage {
    GreyImage::filled(width, height, 0).expect("invariant: the caller gives sides within range")
}

fn view(image: &GreyImage) -> opencv::boxed_ref::BoxedRef<'_, Mat> {
    Mat::new_rows_cols_with_data(int(image.height()), int(image.width()), image.pixels())
        .expect(WORKS)
}

fn view_mut(image: &mut GreyImage) -> opencv::boxed_ref::BoxedRefMut<'_, Mat> {
    let (rows, columns) = (int(image.height()), int(image.width()));
    Mat::new_rows_cols_with_data_mut(rows, columns, image.pixels_mut()).expect(WORKS)
}

fn int(side: usize) -> i32 {
    i32::try_from(side).expect(WORKS)
}

#[cfg(test)]
mod tests;
