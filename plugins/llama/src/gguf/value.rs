//! Metadata values as the file types them, and the conversions that model code asks for. Integers convert between
//! widths when the number itself fits, because writers disagree on widths; nothing else converts.

/// One metadata value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    U8(u8),
    I8(i8),
    U16(u16),
    I16(i16),
    U32(u32),
    I32(i32),
    U64(u64),
    I64(i64),
    F32(f32),
    F64(f64),
    Bool(bool),
    String(String),
    Array(Array),
}

/// A metadata array, one allocation whatever its length.
#[derive(Debug, Clone, PartialEq)]
pub enum Array {
    U8(Vec<u8>),
    I8(Vec<i8>),
    U16(Vec<u16>),
    I16(Vec<i16>),
    U32(Vec<u32>),
    I32(Vec<i32>),
    U64(Vec<u64>),
    I64(Vec<i64>),
    F32(Vec<f32>),
    F64(Vec<f64>),
    Bool(Vec<bool>),
    Strings(Strings),
}

/// An array of strings, end to end in one buffer. Bytes as the file has them: tokens need not be valid UTF-8.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Strings {
    bytes: Vec<u8>,
    /// Where each string ends. The header's bound keeps offsets within 32 bits.
    ends: Vec<u32>,
}

impl Strings {
    /// Number of strings.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no string.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The string with this number, from 0.
    pub fn get(&self, index: usize) -> Option<&[u8]> {
        let end = *self.ends.get(index)?;
        let start = match index {
            0 => 0,
            _ => *self.ends.get(index - 1)?,
        };
        self.bytes.get(start as usize..end as usize)
    }

    /// All strings in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        (0..self.len()).map(|index| self.get(index).unwrap_or_default())
    }

    pub(super) fn push(&mut self, string: &[u8]) {
        self.bytes.extend_from_slice(string);
        self.ends.push(self.bytes.len() as u32);
    }
}

impl<T: AsRef<[u8]>> FromIterator<T> for Strings {
    fn from_iter<I: IntoIterator<Item = T>>(iter: I) -> Self {
        let mut strings = Self::default();
        iter.into_iter()
            .for_each(|string| strings.push(string.as_ref()));
        strings
    }
}

impl Value {
    /// The value in words, for an error: its kind, and the number itself where that is what is wrong.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::U8(_) | Self::U16(_) | Self::U32(_) | Self::U64(_) => {
                format!("the integer {}", self.integer().unwrap_or_default())
            }
            Self::I8(_) | Self::I16(_) | Self::I32(_) | Self::I64(_) => {
                format!("the integer {}", self.integer().unwrap_or_default())
            }
            Self::F32(_) | Self::F64(_) => "a float".to_owned(),
            Self::Bool(_) => "a boolean".to_owned(),
            Self::String(_) => "a string".to_owned(),
            Self::Array(array) => format!("an array of {}", array.element()),
        }
    }

    fn integer(&self) -> Option<i128> {
        Some(match *self {
            Self::U8(number) => number.into(),
            Self::I8(number) => number.into(),
            Self::U16(number) => number.into(),
            Self::I16(number) => number.into(),
            Self::U32(number) => number.into(),
            Self::I32(number) => number.into(),
            Self::U64(number) => number.into(),
            Self::I64(number) => number.into(),
            Self::F32(_) | Self::F64(_) | Self::Bool(_) | Self::String(_) | Self::Array(_) => {
                return None;
            }
        })
    }
}

impl Array {
    /// Number of elements.
    pub fn len(&self) -> usize {
        match self {
            Self::U8(v) => v.len(),
            Self::I8(v) => v.len(),
            Self::U16(v) => v.len(),
            Self::I16(v) => v.len(),
            Self::U32(v) => v.len(),
            Self::I32(v) => v.len(),
            Self::U64(v) => v.len(),
            Self::I64(v) => v.len(),
            Self::F32(v) => v.len(),
            Self::F64(v) => v.len(),
            Self::Bool(v) => v.len(),
            Self::Strings(v) => v.len(),
        }
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn element(&self) -> &'static str {
        match self {
            Self::U8(_) | Self::U16(_) | Self::U32(_) | Self::U64(_) => "unsigned integers",
            Self::I8(_) | Self::I16(_) | Self::I32(_) | Self::I64(_) => "integers",
            Self::F32(_) | Self::F64(_) => "floats",
            Self::Bool(_) => "booleans",
            Self::Strings(_) => "strings",
        }
    }

    /// Every element as a `T`, or nothing if one does not fit.
    fn integers<T>(&self) -> Option<Vec<T>>
    where
        T: TryFrom<u8> + TryFrom<i8> + TryFrom<u16> + TryFrom<i16>,
        T: TryFrom<u32> + TryFrom<i32> + TryFrom<u64> + TryFrom<i64>,
    {
        fn all<S: Copy, T: TryFrom<S>>(from: &[S]) -> Option<Vec<T>> {
            from.iter()
                .map(|&element| T::try_from(element).ok())
                .collect()
        }
        match self {
            Self::U8(v) => all(v),
            Self::I8(v) => all(v),
            Self::U16(v) => all(v),
            Self::I16(v) => all(v),
            Self::U32(v) => all(v),
            Self::I32(v) => all(v),
            Self::U64(v) => all(v),
            Self::I64(v) => all(v),
            Self::F32(_) | Self::F64(_) | Self::Bool(_) | Self::Strings(_) => None,
        }
    }
}

/// A type that model code can ask a metadata value to be.
pub trait FromValue<'a>: Sized {
    /// The type in words, for "expected …".
    const EXPECTED: &'static str;

    /// The value as this type; `None` if it is something else or does not fit.
    fn from_value(value: &'a Value) -> Option<Self>;
}

macro_rules! integer {
    ($($type:ident)*) => {$(
        impl FromValue<'_> for $type {
            const EXPECTED: &'static str = stringify!($type);
            fn from_value(value: &Value) -> Option<Self> {
                value.integer().and_then(|number| Self::try_from(number).ok())
            }
        }
    )*};
}
integer!(u8 u16 u32 u64 usize i32 i64);

impl FromValue<'_> for f32 {
    const EXPECTED: &'static str = "f32";
    fn from_value(value: &Value) -> Option<Self> {
        match *value {
            Value::F32(number) => Some(number),
            Value::F64(number) => Some(number as Self),
            _ => None,
        }
    }
}

impl FromValue<'_> for bool {
    const EXPECTED: &'static str = "bool";
    fn from_value(value: &Value) -> Option<Self> {
        match *value {
            Value::Bool(flag) => Some(flag),
            _ => None,
        }
    }
}

impl<'a> FromValue<'a> for &'a str {
    const EXPECTED: &'static str = "string";
    fn from_value(value: &'a Value) -> Option<Self> {
        match value {
            Value::String(string) => Some(string),
            _ => None,
        }
    }
}

impl<'a> FromValue<'a> for &'a Strings {
    const EXPECTED: &'static str = "array of strings";
    fn from_value(value: &'a Value) -> Option<Self> {
        match value {
            Value::Array(Array::Strings(strings)) => Some(strings),
            _ => None,
        }
    }
}

impl<'a> FromValue<'a> for &'a [f32] {
    const EXPECTED: &'static str = "array of f32";
    fn from_value(value: &'a Value) -> Option<Self> {
        match value {
            Value::Array(Array::F32(numbers)) => Some(numbers),
            _ => None,
        }
    }
}

/// Raw bytes, written as an array of 8-bit integers.
impl FromValue<'_> for Vec<u8> {
    const EXPECTED: &'static str = "array of bytes";
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Array(Array::U8(bytes)) => Some(bytes.clone()),
            Value::Array(Array::I8(bytes)) => {
                Some(bytes.iter().map(|byte| byte.cast_unsigned()).collect())
            }
            _ => None,
        }
    }
}

macro_rules! integers {
    ($($type:ident $expected:literal)*) => {$(
        impl FromValue<'_> for Vec<$type> {
            const EXPECTED: &'static str = $expected;
            fn from_value(value: &Value) -> Option<Self> {
                match value {
                    Value::Array(array) => array.integers(),
                    _ => None,
                }
            }
        }
    )*};
}
integers!(u32 "array of u32" i32 "array of i32");

impl FromValue<'_> for Vec<bool> {
    const EXPECTED: &'static str = "array of bool";
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Array(Array::Bool(flags)) => Some(flags.clone()),
            _ => None,
        }
    }
}
