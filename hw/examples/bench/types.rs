//! Which types the weights of a decoder have.

use skep_hw::Dtype;

/// Which types the matrices have.
#[derive(Clone, Copy)]
pub(crate) enum Types {
    /// All of one type.
    All(Dtype),
    /// `Q4_K_M` of public files: six bits for the output matrix, and for attention values and down projections of
    /// the first and last eighth of the layers and of every third between.
    Q4KM,
}

pub(crate) const TYPES: [Types; 5] = [
    Types::All(Dtype::F16),
    Types::All(Dtype::Q8_0),
    Types::All(Dtype::Q4_0),
    Types::All(Dtype::Q4K),
    Types::Q4KM,
];

impl Types {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::All(dtype) => dtype.name(),
            Self::Q4KM => "q4-k-m",
        }
    }

    pub(crate) fn plain(self) -> Dtype {
        match self {
            Self::All(dtype) => dtype,
            Self::Q4KM => Dtype::Q4K,
        }
    }

    /// Of attention values and down projections.
    pub(crate) fn finer(self, layer: u32, layers: u32) -> Dtype {
        let eighth = layers / 8;
        let more = layer < eighth || layer >= 7 * layers / 8 || (layer - eighth) % 3 == 2;
        match self {
            Self::Q4KM if more => Dtype::Q6K,
            other => other.plain(),
        }
    }

    pub(crate) fn output(self) -> Dtype {
        match self {
            Self::All(dtype) => dtype,
            Self::Q4KM => Dtype::Q6K,
        }
    }
}
