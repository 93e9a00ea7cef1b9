//! The key-value part of the header: reads it, refuses what the format forbids, and answers typed questions with
//! errors that name the key.

use std::collections::{BTreeMap, btree_map};

use super::cursor::Cursor;
use super::{Array, FromValue, GgufError, Place, Source, Strings, Value, limits::*};

/// Typed values by key.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Metadata(BTreeMap<String, Value>);

impl Metadata {
    /// The value of `key` as the file types it.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key)
    }

    /// The value of `key`, which must be there and be a `T`.
    pub fn required<'a, T: FromValue<'a>>(&'a self, key: &str) -> Result<T, GgufError> {
        self.optional(key)?
            .ok_or_else(|| GgufError::MissingKey(key.to_owned()))
    }

    /// The value of `key` if it is there; an error if it is there and is not a `T`.
    pub fn optional<'a, T: FromValue<'a>>(&'a self, key: &str) -> Result<Option<T>, GgufError> {
        let Some(value) = self.0.get(key) else {
            return Ok(None);
        };
        match T::from_value(value) {
            Some(found) => Ok(Some(found)),
            None => Err(GgufError::WrongType {
                key: key.to_owned(),
                found: value.describe(),
                expected: T::EXPECTED,
            }),
        }
    }

    /// Keys and values, by key.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Value)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }

    pub(super) fn read<S: Source + ?Sized>(
        cursor: &mut Cursor<'_, S>,
        count: u64,
    ) -> Result<Self, GgufError> {
        let mut entries = BTreeMap::new();
        for index in 0..count {
            cursor.enter(Place::Key(index));
            let key = cursor.utf8(KEY_BYTES_MAX)?;
            if key.is_empty() {
                return Err(GgufError::Text {
                    place: cursor.place(),
                    why: "is empty",
                });
            }
            cursor.enter(Place::Value(key.clone()));
            let code = u32::from_le_bytes(cursor.bytes()?);
            let value = read_value(cursor, &key, code)?;
            match entries.entry(key) {
                btree_map::Entry::Vacant(entry) => entry.insert(value),
                btree_map::Entry::Occupied(entry) => {
                    return Err(GgufError::DuplicateKey(entry.key().clone()));
                }
            };
        }
        Ok(Self(entries))
    }
}

impl FromIterator<(String, Value)> for Metadata {
    fn from_iter<I: IntoIterator<Item = (String, Value)>>(iter: I) -> Self {
        Self(iter.into_iter().collect())
    }
}

fn read_value<S: Source + ?Sized>(
    cursor: &mut Cursor<'_, S>,
    key: &str,
    code: u32,
) -> Result<Value, GgufError> {
    Ok(match code {
        0 => Value::U8(u8::from_le_bytes(cursor.bytes()?)),
        1 => Value::I8(i8::from_le_bytes(cursor.bytes()?)),
        2 => Value::U16(u16::from_le_bytes(cursor.bytes()?)),
        3 => Value::I16(i16::from_le_bytes(cursor.bytes()?)),
        4 => Value::U32(u32::from_le_bytes(cursor.bytes()?)),
        5 => Value::I32(i32::from_le_bytes(cursor.bytes()?)),
        6 => Value::F32(f32::from_le_bytes(cursor.bytes()?)),
        7 => Value::Bool(to_bool(key, u8::from_le_bytes(cursor.bytes()?))?),
        8 => Value::String(cursor.utf8(STRING_BYTES_MAX)?),
        9 => Value::Array(read_array(cursor, key)?),
        10 => Value::U64(u64::from_le_bytes(cursor.bytes()?)),
        11 => Value::I64(i64::from_le_bytes(cursor.bytes()?)),
        12 => Value::F64(f64::from_le_bytes(cursor.bytes()?)),
        _ => {
            return Err(GgufError::ValueType {
                key: key.to_owned(),
                found: code,
            });
        }
    })
}

fn read_array<S: Source + ?Sized>(
    cursor: &mut Cursor<'_, S>,
    key: &str,
) -> Result<Array, GgufError> {
    let code = u32::from_le_bytes(cursor.bytes()?);
    let count = u64::from_le_bytes(cursor.bytes()?);
    Ok(match code {
        0 => Array::U8(elements(cursor, key, count, u8::from_le_bytes)?),
        1 => Array::I8(elements(cursor, key, count, i8::from_le_bytes)?),
        2 => Array::U16(elements(cursor, key, count, u16::from_le_bytes)?),
        3 => Array::I16(elements(cursor, key, count, i16::from_le_bytes)?),
        4 => Array::U32(elements(cursor, key, count, u32::from_le_bytes)?),
        5 => Array::I32(elements(cursor, key, count, i32::from_le_bytes)?),
        6 => Array::F32(elements(cursor, key, count, f32::from_le_bytes)?),
        7 => Array::Bool(
            elements(cursor, key, count, u8::from_le_bytes)?
                .into_iter()
                .map(|byte| to_bool(key, byte))
                .collect::<Result<_, _>>()?,
        ),
        8 => Array::Strings(read_strings(cursor, key, count)?),
        9 => return Err(GgufError::NestedArray(key.to_owned())),
        10 => Array::U64(elements(cursor, key, count, u64::from_le_bytes)?),
        11 => Array::I64(elements(cursor, key, count, i64::from_le_bytes)?),
        12 => Array::F64(elements(cursor, key, count, f64::from_le_bytes)?),
        _ => {
            return Err(GgufError::ValueType {
                key: key.to_owned(),
                found: code,
            });
        }
    })
}

/// `count` numbers of `N` bytes each. Memory is taken only once the bytes are known to be there.
fn elements<S: Source + ?Sized, T, const N: usize>(
    cursor: &mut Cursor<'_, S>,
    key: &str,
    count: u64,
    convert: fn([u8; N]) -> T,
) -> Result<Vec<T>, GgufError> {
    let length = count
        .checked_mul(N as u64)
        .filter(|&length| length <= cursor.remaining())
        .and_then(|length| usize::try_from(length).ok())
        .ok_or_else(|| GgufError::ArrayTooLong {
            key: key.to_owned(),
            count,
        })?;
    let (blocks, _) = cursor.take(length)?.as_chunks::<N>();
    Ok(blocks.iter().map(|&block| convert(block)).collect())
}

fn read_strings<S: Source + ?Sized>(
    cursor: &mut Cursor<'_, S>,
    key: &str,
    count: u64,
) -> Result<Strings, GgufError> {
    // Each string takes at least the eight bytes of its length.
    if count > cursor.remaining() / 8 {
        return Err(GgufError::ArrayTooLong {
            key: key.to_owned(),
            count,
        });
    }
    let mut strings = Strings::default();
    for _ in 0..count {
        strings.push(cursor.text(STRING_BYTES_MAX)?);
    }
    Ok(strings)
}

fn to_bool(key: &str, byte: u8) -> Result<bool, GgufError> {
    match byte {
        0 => Ok(false),
        1 => Ok(true),
        found => Err(GgufError::Bool {
            key: key.to_owned(),
            found,
        }),
    }
}
