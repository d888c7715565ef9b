//! Images turned, moved and stretched.

use super::dispatch::kernel;
use crate::Scalar;

/// Where the pixel (i, j) of the result comes from: line a·i + b·j + c and column d·i + e·j + f of the image, as
/// `[a, b, c, d, e, f]`.
pub type Affine = [f64; 6];

/// The map that turns an image of `height` × `width` by `angle` (in radians, counter-clockwise as one looks at it) around
/// its middle, makes it `zoom` times as large, then moves it `down` and `right`.
pub fn affine(height: usize, width: usize, angle: f64, zoom: f64, down: f64, right: f64) -> Affine {
    let (middle, centre) = ((height as f64 - 1.0) / 2.0, (width as f64 - 1.0) / 2.0);
    let (sin, cos) = (angle.sin() / zoom, angle.cos() / zoom);
    // From the result back: undo the move, then turn the other way around the middle.
    let (i, j) = (middle + down, centre + right);
    [cos, sin, middle - cos * i - sin * j, -sin, cos, centre + sin * i - cos * j]
}

/// One image (height, width, channels); `at` gives its value number i. The result has `columns` columns.
#[inline(always)]
fn warp_image<F: Scalar>(at: impl Fn(usize) -> F, size: [usize; 3], map: Affine, columns: usize, y: &mut [F]) {
    let [height, width, channels] = size;
    for (number, y) in y.chunks_exact_mut(channels.max(1)).enumerate() {
        let (line, column) = source(map, number, columns);
        let (top, left) = (line.floor(), column.floor());
        let (u, v) = (F::of(line - top), F::of(column - left));
        let (above, beside) = (F::one() - u, F::one() - v);
        let corners = [
            (top, left, above * beside),
            (top, left + 1.0, above * v),
            (top + 1.0, left, u * beside),
            (top + 1.0, left + 1.0, u * v),
        ];
        y.fill(F::zero());
        for (line, column, share) in corners {
            // Beyond the border there is nothing.
            if line >= 0.0 && column >= 0.0 && line < height as f64 && column < width as f64 {
                let from = (line as usize * width + column as usize) * channels;
                for (ch, y) in y.iter_mut().enumerate() {
                    *y += share * at(from + ch);
                }
            }
        }
    }
}

/// Line and column from which pixel number `number` of the result comes.
#[inline(always)]
fn source([a, b, c, d, e, f]: Affine, number: usize, columns: usize) -> (f64, f64) {
    let (i, j) = ((number / columns.max(1)) as f64, (number % columns.max(1)) as f64);
    (a * i + b * j + c, d * i + e * j + f)
}

kernel! { memory_bound:
    /// y ← x through `map`, between four pixels by their distances; 0 beyond the border.
    ///
    /// `x` of the size (height, width, channels), `y` of as many lines of `columns` pixels as there is room for.
    pub fn warp<F, I>(x: &[F], size: [usize; 3], map: Affine, columns: usize, y: &mut [F]) {
        warp_image(|i| x[i], size, map, columns, y);
    }
}

/// y ← the nearest pixel of an image of the size (height, width, channels) through `map`, 0 beyond the border: for masks,
/// between whose classes there is nothing. `at` gives value number i of the image.
pub fn warp_nearest<F: Scalar>(at: impl Fn(usize) -> F, size: [usize; 3], map: Affine, columns: usize, y: &mut [F]) {
    let [height, width, channels] = size;
    for (number, y) in y.chunks_exact_mut(channels.max(1)).enumerate() {
        let (line, column) = source(map, number, columns);
        let (line, column) = (line.round(), column.round());
        if line >= 0.0 && column >= 0.0 && line < height as f64 && column < width as f64 {
            let from = (line as usize * width + column as usize) * channels;
            y.iter_mut().enumerate().for_each(|(ch, y)| *y = at(from + ch));
        } else {
            y.fill(F::zero());
        }
    }
}

kernel! { memory_bound:
    /// [`warp`] of an image of bytes, times `scale`.
    pub fn warp_bytes<F, I>(x: &[u8], scale: F, size: [usize; 3], map: Affine, columns: usize, y: &mut [F]) {
        warp_image(|i| F::of_byte(x[i]) * scale, size, map, columns, y);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::FRAC_PI_2;

    #[test]
    fn quarter_turns_and_whole_moves_lose_nothing() {
        let x: Vec<f64> = (0..18).map(f64::from).collect();
        let mut y = vec![9.0; 18];
        warp(&x, [3, 3, 2], affine(3, 3, 0.0, 1.0, 0.0, 0.0), 3, &mut y);
        assert_eq!(y, x);
        warp(&x, [3, 3, 2], affine(3, 3, 0.0, 1.0, 1.0, -1.0), 3, &mut y);
        assert_eq!(&y[6..8], &x[2..4], "what was at (0, 1) is at (1, 0)");
        assert_eq!(&y[..6], [0.0; 6], "from beyond the border comes nothing");
        warp(&x, [3, 3, 2], affine(3, 3, FRAC_PI_2, 1.0, 0.0, 0.0), 3, &mut y);
        for i in 0..3 {
            for j in 0..3 {
                // The right column becomes the upper line.
                let (got, want) = (y[(i * 3 + j) * 2], x[(j * 3 + 2 - i) * 2]);
                assert!((got - want).abs() < 1e-9, "({i}, {j}): {got}, not {want}");
            }
        }
    }

    #[test]
    fn twice_as_large_shows_the_middle() {
        let x: Vec<f64> = (0..25).map(f64::from).collect();
        let mut y = vec![0.0; 25];
        warp(&x, [5, 5, 1], affine(5, 5, 0.0, 2.0, 0.0, 0.0), 5, &mut y);
        assert_eq!((y[0], y[12], y[24]), (6.0, 12.0, 18.0));
        let bytes: Vec<u8> = (0..25).collect();
        let mut of_bytes = vec![0.0; 25];
        warp_bytes(&bytes, 1.0, [5, 5, 1], affine(5, 5, 0.0, 2.0, 0.0, 0.0), 5, &mut of_bytes);
        assert_eq!(y, of_bytes);
    }
    #[test]
    fn the_nearest_pixel_is_never_a_mixture() {
        let x: Vec<f64> = (1..26).map(f64::from).collect();
        let mut y = vec![9.0; 25];
        warp_nearest(|i| x[i], [5, 5, 1], affine(5, 5, 0.3, 1.2, 0.4, -0.7), 5, &mut y);
        assert!(y.iter().all(|value| *value == 0.0 || x.contains(value)), "{y:?}");
        // A part of the image: two lines of three columns, from (1, 2) on.
        let mut part = [9.0; 6];
        warp_nearest(|i| x[i], [5, 5, 1], [1.0, 0.0, 1.0, 0.0, 1.0, 2.0], 3, &mut part);
        assert_eq!(part, [8.0, 9.0, 10.0, 13.0, 14.0, 15.0]);
        warp(&x, [5, 5, 1], [1.0, 0.0, 1.0, 0.0, 1.0, 2.0], 3, &mut part);
        assert_eq!(part, [8.0, 9.0, 10.0, 13.0, 14.0, 15.0]);
    }
}
