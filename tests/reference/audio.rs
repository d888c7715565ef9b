//! Sound: transforms, filters, spectrograms.

use gradus::config::{Config, Configured};
use gradus::custom::*;
use gradus::data::audio::{self, DCT, MFCC, MelFilterbank, MelNorm, MelScale, MelSpectrogram, STFT};
use serde_json::Value;

use super::case::{Case, Results, Stop, unsupported};

/// The kinds that [`run`] knows.
pub const KINDS: [&str; 8] =
    ["dct", "idct", "stft", "MelSpectrogram", "mel_filterbank", "linear_to_mel_weight_matrix", "power_to_db", "mfcc"];

pub fn run<F: Scalar>(case: &Case, kind: &str) -> Result<Results<F>, Stop> {
    let mut options = case.options();
    let output = match kind {
        "dct" | "idct" => {
            rename(&mut options, &[("type", "dct_type"), ("N", "n")]);
            // How SciPy goes about it, which changes no number.
            ["overwrite_x", "workers"].iter().for_each(|name| drop(options.remove(*name)));
            let dct = DCT::from_config(&without_null(options, "norm"))?;
            let x = case.tensor::<F>("input")?;
            if kind == "dct" { dct.transform(&x)? } else { dct.inverse_transform(&x)? }
        }
        "stft" => {
            let (real, imaginary) = STFT::from_config(&options)?.transform(&case.tensor::<F>("input")?)?;
            return Ok([("output.0".into(), real), ("output.1".into(), imaginary)].into());
        }
        "MelSpectrogram" => {
            MelSpectrogram::from_config(&without_null(options, "top_db"))?.transform(&case.tensor::<F>("input")?)?
        }
        "mel_filterbank" => mel_filterbank(options)?,
        "linear_to_mel_weight_matrix" => {
            let number = |name: &str, default: f64| options.get(name).and_then(Value::as_f64).unwrap_or(default);
            let whole = |name: &str, default: f64| number(name, default) as usize;
            audio::linear_to_mel_weight_matrix(
                whole("num_mel_bins", 20.0),
                whole("num_spectrogram_bins", 129.0),
                number("sample_rate", number("sampling_rate", 8000.0)),
                number("lower_edge_hertz", 125.0),
                number("upper_edge_hertz", 3800.0),
            )?
            .into_dyn()
        }
        "power_to_db" => {
            let number = |name: &str, default: f64| match options.get(name) {
                None => default,
                Some(value) => value.as_f64().unwrap_or(f64::INFINITY),
            };
            let x = case.tensor::<F>("input")?;
            audio::power_to_db(&x, number("ref", 1.0), number("amin", 1e-10), number("top_db", 80.0))?
        }
        _ => {
            if options.get("norm").is_some_and(Value::is_null) {
                options.insert("norm".into(), "backward".into());
            }
            MFCC::from_config(&options)?.transform(&case.tensor::<F>("input")?)?
        }
    };
    Ok([("output".into(), output)].into())
}

/// The filters by librosa's words, with its shape (mel bins, bins), or by torchaudio's, with that of its transpose.
fn mel_filterbank<F: Scalar>(mut options: Config) -> Result<ArrayD<F>, Stop> {
    let torch = options.contains_key("n_freqs");
    if let Some(bins) = options.remove("n_freqs") {
        options.insert("n_fft".into(), bins.as_u64().map_or(bins, |bins| (2 * (bins.max(1) - 1)).into()));
    }
    let htk = match (options.remove("htk"), options.remove("mel_scale")) {
        (Some(htk), _) => htk.as_bool() == Some(true),
        (None, scale) => scale.map_or(torch, |scale| scale == "htk"),
    };
    let norm = match options.remove("norm") {
        None if !torch => MelNorm::Slaney,
        None | Some(Value::Null) => MelNorm::Peak,
        Some(Value::String(norm)) if norm == "slaney" => MelNorm::Slaney,
        Some(norm) => return Err(unsupported(format!("norm {norm}"))),
    };
    rename(
        &mut options,
        &[
            ("sr", "sampling_rate"),
            ("sample_rate", "sampling_rate"),
            ("n_fft", "fft_length"),
            ("n_mels", "num_mel_bins"),
            ("fmin", "min_freq"),
            ("f_min", "min_freq"),
            ("fmax", "max_freq"),
            ("f_max", "max_freq"),
        ],
    );
    let scale = if htk { MelScale::Htk } else { MelScale::Slaney };
    let matrix = MelFilterbank::from_config(&options)?.scale(scale).norm(norm).matrix::<F>()?;
    Ok(if torch { matrix.into_dyn() } else { matrix.reversed_axes().as_standard_layout().into_owned().into_dyn() })
}

fn rename(options: &mut Config, names: &[(&str, &str)]) {
    for (from, to) in names {
        if let Some(value) = options.remove(*from) {
            options.insert((*to).into(), value);
        }
    }
}

/// Options of which one is the default where it is null.
fn without_null(mut options: Config, name: &str) -> Config {
    if options.get(name).is_some_and(Value::is_null) {
        options.remove(name);
    }
    options
}
