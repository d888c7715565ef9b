//! Paths with fields to be filled in: `epoch-{epoch:02d}-{val_loss:.2f}.safetensors`.

use crate::training::Logs;
use crate::{Error, Result};

/// A path with fields.
#[derive(Debug)]
pub(super) struct PathPattern<'a> {
    path: &'a str,
    parts: Vec<Part<'a>>,
}

#[derive(Debug, PartialEq)]
enum Part<'a> {
    Text(&'a str),
    Field { name: &'a str, form: Form },
}

/// How a value is written: `[0][width][.precision][d|f|e]`, as in Python.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Form {
    zeros: bool,
    width: usize,
    precision: Option<usize>,
    kind: Option<char>,
}

/// More digits than any number has.
const MOST_DIGITS: usize = 64;

impl Form {
    fn parse(text: &str) -> Option<Self> {
        let mut form = Self::default();
        let mut rest = text;
        if let Some(kind) = rest.chars().last().filter(char::is_ascii_alphabetic) {
            if !matches!(kind, 'd' | 'f' | 'e') {
                return None;
            }
            form.kind = Some(kind);
            rest = &rest[..rest.len() - 1];
        }
        let (width, precision) = rest.split_once('.').map_or((rest, None), |(width, digits)| (width, Some(digits)));
        form.zeros = width.starts_with('0');
        let digits = |text: &str| match text.parse() {
            Ok(digits) if digits <= MOST_DIGITS && !text.starts_with('+') => Some(digits),
            _ => None,
        };
        form.width = if width.is_empty() { 0 } else { digits(width)? };
        form.precision = match precision {
            Some(precision) => Some(digits(precision)?),
            None => None,
        };
        (form.kind != Some('d') || form.precision.is_none()).then_some(form)
    }

    fn write(self, value: f64) -> String {
        let Self { zeros, width, precision, kind } = self;
        // What Python writes without a precision.
        let digits = precision.unwrap_or(6);
        let text = match kind {
            Some('d') => format!("{value:.0}"),
            Some('e') => exponent(format!("{value:.digits$e}")),
            Some(_) => format!("{value:.digits$}"),
            None => precision.map_or_else(|| value.to_string(), |digits| format!("{value:.digits$}")),
        };
        match text.strip_prefix('-') {
            Some(rest) if zeros => format!("-{rest:0>width$}", width = width.saturating_sub(1)),
            _ if zeros => format!("{text:0>width$}"),
            _ => format!("{text:>width$}"),
        }
    }
}

/// An exponent of two digits with its sign, as Python writes it: `1.5e-3` becomes `1.5e-03`.
fn exponent(text: String) -> String {
    match text.split_once('e') {
        Some((number, power)) => {
            let (sign, power) = power.strip_prefix('-').map_or(('+', power), |power| ('-', power));
            format!("{number}e{sign}{power:0>2}")
        }
        None => text,
    }
}

impl<'a> PathPattern<'a> {
    /// # Errors
    /// For braces that are no field.
    pub fn parse(path: &'a str) -> Result<Self> {
        let wrong = || {
            let expected = "fields such as {epoch:02d} and {val_loss:.2f}; a brace itself is written twice";
            Error::option("path", expected, path)
        };
        let (mut parts, mut rest) = (Vec::new(), path);
        while let Some(at) = rest.find(['{', '}']) {
            let (text, from) = rest.split_at(at);
            parts.push(Part::Text(text));
            if from.starts_with("{{") || from.starts_with("}}") {
                parts.push(Part::Text(&from[..1]));
                rest = &from[2..];
                continue;
            }
            let (field, after) = from.strip_prefix('{').and_then(|from| from.split_once('}')).ok_or_else(wrong)?;
            let (name, form) = field.split_once(':').unwrap_or((field, ""));
            let is_name = |name: &str| !name.is_empty() && !name.contains(['{', ' ', '!', '[', '.']);
            let form = Form::parse(form).filter(|_| is_name(name)).ok_or_else(wrong)?;
            parts.push(Part::Field { name, form });
            rest = after;
        }
        parts.push(Part::Text(rest));
        Ok(Self { path, parts })
    }

    /// The names of the fields.
    pub fn names(&self) -> impl Iterator<Item = &'a str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Field { name, .. } => Some(*name),
            Part::Text(_) => None,
        })
    }

    /// The path as far as it is the same for all epochs.
    pub fn before_fields(&self) -> &'a str {
        &self.path[..self.path.find(['{', '}']).unwrap_or(self.path.len())]
    }

    /// The path of an epoch, counted from 1.
    ///
    /// # Errors
    /// If there is no metric of a field's name.
    pub fn fill(&self, epoch: usize, logs: &Logs) -> Result<String> {
        let mut path = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => path.push_str(text),
                Part::Field { name: "epoch", form } => path.push_str(&form.write(epoch as f64)),
                Part::Field { name, form } => {
                    let value = logs.get(name).ok_or_else(|| {
                        let known = logs.names().into_iter().chain(["epoch".to_owned()]);
                        Error::unknown("field of the path", *name, known)
                    })?;
                    path.push_str(&form.write(value));
                }
            }
        }
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(pattern: &str) -> Result<String> {
        let mut logs = Logs::default();
        logs.insert("loss", 0.0234);
        logs.insert("val_loss", -1.5);
        PathPattern::parse(pattern)?.fill(7, &logs)
    }

    #[test]
    fn fields_are_filled_in_as_python_does() {
        for (pattern, path) in [
            ("plain.safetensors", "plain.safetensors"),
            ("{epoch}.x", "7.x"),
            ("n-{epoch:02d}.x", "n-07.x"),
            ("{epoch:d}{epoch:3d}|{epoch:04}", "7  7|0007"),
            ("o-{epoch}-{loss:.2f}", "o-7-0.02"),
            ("{loss:.1e}/{loss:8.3f}/{loss:f}", "2.3e-02/   0.023/0.023400"),
            ("{val_loss:06.2f}", "-01.50"),
            ("{{{epoch}}}", "{7}"),
        ] {
            assert_eq!(filled(pattern).expect(pattern), path);
        }
    }

    #[test]
    fn other_braces_are_refused() {
        for pattern in
            ["{", "}", "{}", "{epoch", "{epoch:x}", "{epoch:.2d}", "{a b}", "{accuracy}", "{epoch:99d}", "{loss!r}"]
        {
            assert!(filled(pattern).is_err(), "{pattern}");
        }
    }
}
