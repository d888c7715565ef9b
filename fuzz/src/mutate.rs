//! Bytes that were valid, made wrong: bits flipped, parts cut out, doubled, exchanged, lengths and numbers blown up.

use super::dice::Dice;

/// What binary fields are set to.
const NUMBERS: [u64; 14] = [
    0,
    1,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0x8000,
    0xffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x1_0000_0000,
    0x7fff_ffff_ffff_ffff,
    u64::MAX,
];

/// What numbers in texts are replaced by.
const WORDS: [&str; 22] = [
    "0",
    "-1",
    "1",
    "2",
    "7",
    "0.5",
    "-0.0",
    "1e308",
    "1e-320",
    "1e999",
    "NaN",
    "null",
    "true",
    "\"inf\"",
    "65536",
    "4294967296",
    "300000000",
    "9007199254740993",
    "9223372036854775807",
    "18446744073709551615",
    "1000000000000000000000",
    "[]",
];

/// Changes `bytes` in one to four places; `others` lend parts.
pub fn mutate(bytes: &mut Vec<u8>, others: &[Vec<u8>], dice: &mut Dice) {
    for _ in 0..=dice.below(4) {
        once(bytes, others, dice);
    }
}

fn once(bytes: &mut Vec<u8>, others: &[Vec<u8>], dice: &mut Dice) {
    let at = dice.below(bytes.len());
    match dice.below(10) {
        0 if !bytes.is_empty() => bytes[at] ^= 1 << dice.below(8),
        1 if !bytes.is_empty() => bytes[at] = dice.throw() as u8,
        2 => bytes.truncate(at),
        3 => {
            let end = (at + dice.below(64)).min(bytes.len());
            bytes.drain(at..end);
        }
        4 => {
            let end = (at + dice.below(64)).min(bytes.len());
            let part = bytes[at..end].to_vec();
            let to = dice.below(bytes.len() + 1);
            bytes.splice(to..to, part);
        }
        5 | 6 => {
            let width = *dice.choose(&[1usize, 2, 4, 8]);
            let number = dice.choose(&NUMBERS).to_le_bytes();
            let mut field = number[..width].to_vec();
            if dice.once_in(2) {
                field.reverse();
            }
            for (place, value) in bytes.iter_mut().skip(at).zip(field) {
                *place = value;
            }
        }
        7 if !others.is_empty() => {
            let other = dice.choose(others);
            let from = dice.below(other.len());
            let until = (from + dice.below(256)).min(other.len());
            let end = (at + dice.below(64)).min(bytes.len());
            bytes.splice(at..end, other[from..until].iter().copied());
        }
        _ => number_of_text(bytes, at, dice),
    }
}

/// Replaces the first number in decimal digits from `at` on.
fn number_of_text(bytes: &mut Vec<u8>, at: usize, dice: &mut Dice) {
    let digit = |byte: &u8| byte.is_ascii_digit() || *byte == b'.' || *byte == b'-';
    let Some(start) = bytes.iter().skip(at).position(digit).map(|place| at + place) else { return };
    let end = bytes[start..].iter().position(|byte| !digit(byte)).map_or(bytes.len(), |len| start + len);
    bytes.splice(start..end, dice.choose(&WORDS).bytes());
}

/// Mutates JSON: mostly its numbers, words and names alone, so that it stays JSON.
pub fn mutate_json(bytes: &mut Vec<u8>, others: &[Vec<u8>], dice: &mut Dice) {
    if dice.once_in(4) {
        return mutate(bytes, others, dice);
    }
    for _ in 0..=dice.below(3) {
        let at = dice.below(bytes.len());
        if dice.once_in(2) {
            number_of_text(bytes, at, dice);
        } else {
            exchange_strings(bytes, at, dice);
        }
    }
}

/// Puts one string of a JSON text in another's place: a class for an option, a name for another.
fn exchange_strings(bytes: &mut Vec<u8>, at: usize, dice: &mut Dice) {
    let string_from = |at: usize| {
        let start = at + bytes.get(at..)?.iter().position(|&byte| byte == b'"')?;
        let len = bytes[start + 1..].iter().position(|&byte| byte == b'"')?;
        Some(start..start + len + 2)
    };
    let (Some(to), Some(from)) = (string_from(at), string_from(dice.below(bytes.len()))) else { return };
    let string = bytes[from].to_vec();
    bytes.splice(to, string);
}

/// Mutates the JSON header of a safetensors file, with the length before it made right again, or the data behind.
pub fn mutate_safetensors(bytes: &mut Vec<u8>, others: &[Vec<u8>], dice: &mut Dice) {
    let length = bytes.first_chunk().map_or(0, |length| u64::from_le_bytes(*length)) as usize;
    let Some(header) = bytes.get(8..8usize.saturating_add(length)).filter(|_| !dice.once_in(4)) else {
        return mutate(bytes, others, dice);
    };
    let mut header = header.to_vec();
    let headers: Vec<Vec<u8>> = others.iter().filter_map(|other| other.get(8..1500).map(<[u8]>::to_vec)).collect();
    if dice.once_in(3) {
        mutate(&mut header, &headers, dice);
    } else {
        // Numbers alone, so that it stays JSON: those of metadata are within strings that are JSON too.
        for _ in 0..=dice.below(3) {
            let at = dice.below(header.len());
            number_of_text(&mut header, at, dice);
        }
    }
    let mut changed = (header.len() as u64).to_le_bytes().to_vec();
    changed.extend(header);
    changed.extend_from_slice(&bytes[8 + length..]);
    *bytes = changed;
}

/// Mutates a PNG and makes the check sums of its parts right again, so that more than these is read.
pub fn mutate_png(bytes: &mut Vec<u8>, others: &[Vec<u8>], dice: &mut Dice) {
    mutate(bytes, others, dice);
    if dice.once_in(4) {
        return;
    }
    let mut at = 8;
    while let Some(length) = bytes.get(at..).and_then(|rest| rest.first_chunk::<4>()) {
        let end = at + 8 + u32::from_be_bytes(*length) as usize;
        if bytes.len() < end + 4 {
            return;
        }
        let sum = crc32(&bytes[at + 4..end]).to_be_bytes();
        bytes[end..end + 4].copy_from_slice(&sum);
        at = end + 4;
    }
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| crc >> 1 ^ if crc & 1 == 1 { 0xEDB8_8320 } else { 0 })
    })
}
