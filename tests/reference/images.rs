//! Images cut, mirrored, turned and resized.

use gradus::data::images::{self, Resampling, Resize};
use gradus::prelude::*;
use serde_json::Value;

use super::case::{Case, Results, Stop, unsupported};

pub fn run<F: Scalar>(case: &Case, step: &str) -> Result<Results<F>, Stop> {
    let x: ArrayD<F> = case.tensor("input")?;
    let whole = [0, 1].map(|i| x.shape().get(x.ndim().saturating_sub(3) + i).copied().unwrap_or(0));
    let config = case.options();
    let y = match step {
        "flip_left_right" => images::flip_left_right(&x)?,
        "flip_up_down" => images::flip_up_down(&x)?,
        "rot90" => {
            let turns = config.get("k").or(config.get("times")).and_then(Value::as_i64).unwrap_or(1);
            images::rot90(&x, turns as isize)?
        }
        "rot180" => images::rot180(&x)?,
        "rgb_to_grayscale" => images::rgb_to_grayscale(&x)?,
        "center_crop" => images::center_crop(&x, size(case)?)?,
        "crop" => {
            let sides = sides(case, "cropping", whole, |whole, target, side| whole - target - side)?;
            let size = [0, 1].map(|i| whole[i].saturating_sub(sides[i][0] + sides[i][1]));
            images::crop(&x, [sides[0][0], sides[1][0]], size)?
        }
        "pad" => {
            images::pad(&x, sides(case, "padding", whole, |whole, target, side| target - side - whole)?, F::zero())?
        }
        "resize" => resize(case)?.apply(&x)?,
        _ => return Err(unsupported("this step")),
    };
    Ok([("output".into(), y)].into())
}

fn whole_number(case: &Case, name: &str) -> Option<i64> {
    case.options().get(name).and_then(Value::as_i64)
}

fn size(case: &Case) -> Result<[usize; 2], Stop> {
    let given = match case.options().get("size").and_then(Value::as_array) {
        Some(size) => [0, 1].map(|i| size.get(i).and_then(Value::as_i64)),
        None => ["height", "width"].map(|name| whole_number(case, name)),
    };
    match given {
        [Some(height), Some(width)] if height >= 0 && width >= 0 => Ok([height as usize, width as usize]),
        _ => Err(Stop::Refused("the size is no pair of whole numbers".into())),
    }
}

/// [[above, below], [left, right]] by Keras's names: of three numbers an axis it is given two.
fn sides(
    case: &Case,
    what: &str,
    whole: [usize; 2],
    missing: fn(i64, i64, i64) -> i64,
) -> Result<[[usize; 2]; 2], Stop> {
    let mut sides = [[0; 2]; 2];
    for (i, [first, second, target]) in [["top", "bottom", "height"], ["left", "right", "width"]].iter().enumerate() {
        let side = |name: &str| whole_number(case, &format!("{name}_{what}")).or(whole_number(case, name));
        let whole = i64::try_from(whole[i]).expect("a size");
        let target = whole_number(case, &format!("target_{target}")).or(whole_number(case, target));
        let pair = match (side(first), side(second), target) {
            (Some(first), Some(second), None) => [first, second],
            (Some(first), None, Some(target)) => [first, missing(whole, target, first)],
            (None, Some(second), Some(target)) => [missing(whole, target, second), second],
            _ => return Err(Stop::Refused(format!("{what}: two of three numbers an axis"))),
        };
        if pair.iter().any(|side| *side < 0) {
            return Err(Stop::Refused(format!("{what} of {pair:?}")));
        }
        sides[i] = pair.map(|side| side as usize);
    }
    Ok(sides)
}

fn resize(case: &Case) -> Result<Resize, Stop> {
    let mut resize = Resize::new(size(case)?);
    for (name, value) in case.options() {
        let flag = value.as_bool().unwrap_or(false);
        resize = match name.as_str() {
            "size" | "height" | "width" | "fill_mode" | "data_format" => resize,
            "interpolation" => resize.resampling(match value.as_str() {
                Some("nearest") => Resampling::Nearest,
                Some("bilinear") => Resampling::Bilinear,
                Some("bicubic") => Resampling::Bicubic,
                Some("lanczos3") => Resampling::Lanczos3,
                Some("lanczos5") => Resampling::Lanczos5,
                _ => return Err(unsupported(format!("interpolation {value}"))),
            }),
            "antialias" => resize.antialias(flag),
            "crop_to_aspect_ratio" => resize.crop_to_aspect_ratio(flag),
            "pad_to_aspect_ratio" => resize.pad_to_aspect_ratio(flag),
            "fill_value" => resize.fill_value(value.as_f64().unwrap_or(0.0)),
            _ => return Err(unsupported(format!("option `{name}`"))),
        };
    }
    Ok(resize)
}
