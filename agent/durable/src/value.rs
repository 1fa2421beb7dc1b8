//! How a value is stored in sled: framed with its length, checksum and version, and split into small parts.
//!
//! sled writes a page that is larger than a quarter of a segment (128 KiB) into a separate file, a blob, which it never
//! syncs: after a power cut it may be empty, and then the database does not open. A page holds up to sixteen entries, a few
//! more while pages merge, so an entry must be far smaller than that: a larger value is split into parts under keys of their own,
//! written in the same batch. The first part is stored under the value's key and gives the total length.

/// Largest value, header included.
pub const VALUE_LIMIT: usize = 96 * 1024;
/// Largest part. Two dozen parts and their keys fit one page.
pub(crate) const PART: usize = 4 * 1024;
/// Largest key: index pages hold up to 256 of them.
pub(crate) const KEY_LIMIT: usize = 480;
/// Prefix of the keys of further parts; callers never use it.
pub(crate) const PARTS: u8 = 0;

const HEADER: usize = 9;

/// Length, checksum, version, value.
pub(crate) fn frame(version: u8, value: &[u8]) -> Vec<u8> {
    let mut framed = Vec::with_capacity(HEADER + value.len());
    framed.extend_from_slice(&u32::try_from(value.len()).unwrap_or(u32::MAX).to_be_bytes());
    framed.extend_from_slice(&crc32c::crc32c_append(crc32c::crc32c(&[version]), value).to_be_bytes());
    framed.push(version);
    framed.extend_from_slice(value);
    framed
}

/// The version and the value; `None` if damaged.
pub(crate) fn unframe(framed: &[u8]) -> Option<(u8, Vec<u8>)> {
    let (length, rest) = framed.split_first_chunk::<4>()?;
    let (checksum, rest) = rest.split_first_chunk::<4>()?;
    let (version, value) = rest.split_first()?;
    let good = u32::from_be_bytes(*length) as usize == value.len()
        && u32::from_be_bytes(*checksum) == crc32c::crc32c_append(crc32c::crc32c(&[*version]), value);
    good.then(|| (*version, value.to_vec()))
}

/// Number of parts after the first. Earlier versions stored large values in one piece.
pub(crate) fn further_parts(first: &[u8]) -> u8 {
    let Some(length) = first.first_chunk::<4>() else { return 0 };
    let whole = HEADER + u32::from_be_bytes(*length) as usize;
    if first.len() != PART || whole <= PART || whole > VALUE_LIMIT {
        return 0;
    }
    u8::try_from(whole.div_ceil(PART) - 1).unwrap_or(0)
}

/// Key of a further part, counted from 1.
pub(crate) fn part_key(key: &[u8], number: u8) -> Vec<u8> {
    let mut part = Vec::with_capacity(key.len() + 2);
    part.push(PARTS);
    part.extend_from_slice(key);
    part.push(number);
    part
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_first_part_gives_the_number_of_parts() {
        let parts = |size| {
            let framed = frame(1, &vec![7; size]);
            (further_parts(&framed[..framed.len().min(PART)]), framed.len().div_ceil(PART))
        };
        assert_eq!(parts(0), (0, 1));
        assert_eq!(parts(PART - HEADER), (0, 1));
        assert_eq!(parts(PART - HEADER + 1), (1, 2));
        assert_eq!(parts(VALUE_LIMIT - HEADER), (23, 24));
        // Stored in one piece by an earlier version.
        assert_eq!(further_parts(&frame(1, &[7; 50_000])), 0);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        #[test]
        fn a_flipped_bit_is_found(value in proptest::collection::vec(any::<u8>(), 0..64), at in any::<usize>(), bit in 0u8..8) {
            let mut framed = frame(3, &value);
            prop_assert_eq!(unframe(&framed), Some((3, value)));
            let index = at % framed.len();
            framed[index] ^= 1 << bit;
            prop_assert!(unframe(&framed).is_none());
        }
    }
}
