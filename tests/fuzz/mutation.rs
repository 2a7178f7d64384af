//! Damage that is the same each time: what a fuzzer does first, from a seed.

use crate::rng::Rng;

/// Bytes that often stand at an edge.
const EDGES: [u8; 10] = [0, 1, 2, 3, 0x7F, 0x80, 0xFE, 0xFF, 0x11, 0x0A];
/// Longest that an input grows, in bytes.
const MOST_BYTES: usize = 8192;

/// A few changes to `bytes`; `other` is cut up for them, and `words` are put in.
pub fn mutated(rng: &mut Rng, bytes: &[u8], other: &[u8], words: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=rng.below(4) {
        change(rng, &mut bytes, other, words);
    }
    bytes.truncate(MOST_BYTES);
    bytes
}

fn change(rng: &mut Rng, bytes: &mut Vec<u8>, other: &[u8], words: &[Vec<u8>]) {
    let at = rng.below(bytes.len());
    let len = rng.below(bytes.len() - at + 1).min(1 + rng.below(64));
    match rng.below(9) {
        0 => flip(bytes, at, 1 << rng.below(8)),
        1 => replace(bytes, at, rng.pick(&EDGES)),
        2 => replace(bytes, at, rng.next() as u8),
        3 => bytes.insert(at, rng.pick(&EDGES)),
        4 => drop(bytes.drain(at..at + len)),
        5 => {
            let again = bytes[at..at + len].repeat(1 + rng.below(4));
            insert(bytes, at, &again);
        }
        6 => bytes.truncate(at),
        7 => {
            let from = rng.below(other.len());
            insert(bytes, at, &other[from..]);
        }
        _ => {
            if let Some(word) = words.get(rng.below(words.len())) {
                insert(bytes, at, word);
            }
        }
    }
}

fn flip(bytes: &mut [u8], at: usize, bit: u8) {
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= bit;
    }
}

fn replace(bytes: &mut [u8], at: usize, by: u8) {
    if let Some(byte) = bytes.get_mut(at) {
        *byte = by;
    }
}

fn insert(bytes: &mut Vec<u8>, at: usize, what: &[u8]) {
    let tail = bytes.split_off(at);
    bytes.extend_from_slice(what);
    bytes.extend_from_slice(&tail);
}

/// The entries of a dictionary of libFuzzer: `"text with \x00 in it"`, one in a line.
pub fn words(dictionary: &str) -> Vec<Vec<u8>> {
    let entries = dictionary.lines().filter_map(|line| line.trim().strip_prefix('"')?.strip_suffix('"'));
    entries.map(unescaped).collect()
}

fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let escape = rest.strip_prefix("\\x").and_then(|escape| escape.get(..2));
        if let Some(byte) = escape.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            bytes.push(byte);
            rest = &rest[4..];
        } else if let Some(quoted) = rest.strip_prefix('\\').and_then(|quoted| quoted.chars().next()) {
            bytes.push(quoted as u8);
            rest = &rest[2..];
        } else {
            bytes.extend(first.to_string().bytes());
            rest = &rest[first.len_utf8()..];
        }
    }
    bytes
}
