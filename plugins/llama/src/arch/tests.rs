//! Small models in memory: what is recorded of them, and what is refused when one number or tensor is wrong.
//! That the recorded operations compute the right thing is shown by `tests/reference` against real files.

use std::collections::BTreeMap;

use super::*;
use crate::contract::{Dtype, Op, Pairing};
use crate::gguf::{Array, Metadata, ReadError, TensorInfo, TensorType, Value};

const VOCABULARY: u32 = 20;

/// Metadata and tensors to be spoilt one at a time.
#[derive(Clone)]
struct Model {
    keys: BTreeMap<String, Value>,
    tensors: BTreeMap<String, TensorInfo>,
}

struct Zeros;

impl Source for Zeros {
    fn size_bytes(&self) -> u64 {
        1 << 40
    }

    fn read(&self, _: u64, length: usize) -> Result<Vec<u8>, ReadError> {
        Ok(vec![0; length])
    }
}

impl Model {
    /// Two layers, width 32, four heads of 8 with two for keys and values, feed-forward 48.
    fn decoder(arch: &str) -> Self {
        let mut model = Self::empty(arch);
        model.key("attention.head_count_kv", Value::U32(2));
        model.key("attention.layer_norm_rms_epsilon", Value::F32(1e-5));
        model
            .tensor("token_embd.weight", &[32, 20])
            .tensor("output_norm.weight", &[32]);
        for layer in 0..2 {
            let name = |part: &str| format!("blk.{layer}.{part}.weight");
            for (part, shape) in [
                ("attn_norm", &[32][..]),
                ("ffn_norm", &[32]),
                ("attn_output", &[32, 32]),
                ("ffn_down", &[48, 32]),
            ] {
                model.tensor(&name(part), shape);
            }
            let apart: [(&str, &[u64]); 5] = [
                ("attn_q", &[32, 32]),
                ("attn_k", &[32, 16]),
                ("attn_v", &[32, 16]),
                ("ffn_gate", &[32, 48]),
                ("ffn_up", &[32, 48]),
            ];
            let fused: [(&str, &[u64]); 2] = [("attn_qkv", &[32, 64]), ("ffn_up", &[32, 96])];
            let parts = if arch == "phi3" {
                &fused[..]
            } else {
                &apart[..]
            };
            for (part, shape) in parts {
                model.tensor(&name(part), shape);
            }
            if ["qwen3", "gemma3"].contains(&arch) {
                model
                    .tensor(&name("attn_q_norm"), &[8])
                    .tensor(&name("attn_k_norm"), &[8]);
            }
            if arch.starts_with("gemma") {
                model
                    .tensor(&name("post_attention_norm"), &[32])
                    .tensor(&name("post_ffw_norm"), &[32]);
            }
        }
        model
    }

    fn bert() -> Self {
        let mut model = Self::empty("bert");
        model.key("attention.layer_norm_epsilon", Value::F32(1e-12));
        for (name, shape) in [
            ("token_embd", &[32, 20][..]),
            ("position_embd", &[32, 64]),
            ("token_types", &[32, 2]),
            ("token_embd_norm", &[32]),
        ] {
            model.tensor(&format!("{name}.weight"), shape);
        }
        for layer in 0..2 {
            for (part, shape) in [
                ("attn_q", &[32, 32][..]),
                ("attn_k", &[32, 32]),
                ("attn_v", &[32, 32]),
                ("attn_output", &[32, 32]),
                ("attn_output_norm", &[32]),
                ("ffn_up", &[32, 48]),
                ("ffn_down", &[48, 32]),
                ("layer_output_norm", &[32]),
            ] {
                model.tensor(&format!("blk.{layer}.{part}.weight"), shape);
            }
        }
        model
    }

    fn empty(arch: &str) -> Self {
        let mut model = Self {
            keys: BTreeMap::new(),
            tensors: BTreeMap::new(),
        };
        model.keys.insert(
            "general.architecture".to_owned(),
            Value::String(arch.to_owned()),
        );
        for (key, value) in [
            ("block_count", 2),
            ("embedding_length", 32),
            ("attention.head_count", 4),
            ("feed_forward_length", 48),
            ("context_length", 64),
        ] {
            model.key(key, Value::U32(value));
        }
        model
    }

    fn key(&mut self, key: &str, value: Value) -> &mut Self {
        let Some(Value::String(arch)) = self.keys.get("general.architecture") else {
            panic!("no architecture");
        };
        self.keys.insert(format!("{arch}.{key}"), value);
        self
    }

    fn tensor(&mut self, name: &str, shape: &[u64]) -> &mut Self {
        let elements: u64 = shape.iter().product();
        let info = TensorInfo {
            kind: TensorType::from_code(0).unwrap(),
            shape: shape.to_vec(),
            offset: 4096 * self.tensors.len() as u64,
            length_bytes: elements * 4,
        };
        self.tensors.insert(name.to_owned(), info);
        self
    }

    fn record(&self) -> Result<Network, Error> {
        let gguf = Gguf {
            version: 3,
            alignment: 32,
            data_offset: 0,
            metadata: self.keys.clone().into_iter().collect::<Metadata>(),
            tensors: self.tensors.clone(),
        };
        record(&gguf, &Zeros, VOCABULARY, None)
    }

    fn refused(&self) -> String {
        match self.record() {
            Err(Error::Malformed(message) | Error::Unsupported(message)) => message,
            other => panic!("{other:?}"),
        }
    }
}

fn spoilt<R>(arch: &str, change: impl FnOnce(&mut Model) -> R) -> String {
    let mut model = Model::decoder(arch);
    change(&mut model);
    model.refused()
}

#[test]
fn records_every_decoder() {
    for arch in [
        "gemma2", "gemma3", "llama", "mistral", "phi3", "qwen2", "qwen3",
    ] {
        let network = Model::decoder(arch)
            .record()
            .unwrap_or_else(|error| panic!("{arch}: {error:?}"));
        assert_eq!(network.yields, Yields::Logits);
        assert_eq!(network.cache.len(), 2);
        let ropes = network.ops.iter().filter_map(|op| match op {
            Op::Rope(rope) => Some(rope.pairing == Pairing::Adjacent),
            _ => None,
        });
        let adjacent = matches!(arch, "llama" | "mistral");
        assert_eq!(ropes.collect::<Vec<_>>(), [adjacent; 4], "{arch}");
        // The tied output matrix is the embedding table itself.
        let mut matmuls = network.ops.iter().filter_map(|op| match op {
            Op::Matmul(matmul) => Some(matmul),
            _ => None,
        });
        let output = matmuls.next_back().unwrap();
        assert_eq!(
            network.weights[output.weight as usize].name,
            "token_embd.weight"
        );
        let named = network
            .weights
            .iter()
            .filter(|weight| weight.name == "token_embd.weight");
        assert_eq!(named.count(), 1);
    }
}

#[test]
fn maps_fused_matrices_as_parts() {
    let network = Model::decoder("phi3").record().unwrap();
    let parts = network
        .weights
        .iter()
        .filter(|weight| weight.name == "blk.1.attn_qkv.weight");
    let places: Vec<_> = parts
        .map(|weight| match weight.source {
            WeightSource::File {
                offset,
                dtype: Dtype::F32,
            } => (offset % 4096, weight.rows),
            ref other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        places,
        [(0, 32), (32 * 32 * 4 % 4096, 16), (48 * 32 * 4 % 4096, 16)]
    );
}

#[test]
fn windows_follow_the_pattern() {
    let windows = |model: &Model| -> Vec<Option<u32>> {
        let network = model.record().unwrap();
        let windows = network.ops.iter().filter_map(|op| match op {
            Op::Attention(attention) => Some(attention.window),
            _ => None,
        });
        windows.collect()
    };
    let mut model = Model::decoder("gemma2");
    assert_eq!(windows(&model), [Some(4096), None]);
    model.key("attention.sliding_window", Value::U32(16));
    assert_eq!(windows(&model), [Some(16), None]);
    let listed = Value::Array(Array::Bool(vec![false, true]));
    model.key("attention.sliding_window_pattern", listed);
    assert_eq!(windows(&model), [None, Some(16)]);
    let mut model = Model::decoder("mistral");
    model.key("attention.sliding_window", Value::U32(8));
    assert_eq!(windows(&model), [Some(8), Some(8)]);
}

#[test]
fn records_bert() {
    let network = Model::bert().record().unwrap();
    assert_eq!(network.yields, Yields::Embedding { width: 32 });
    assert!(network.cache.is_empty());
    let mut model = Model::bert();
    model.key("pooling_type", Value::U32(4));
    assert!(
        model
            .refused()
            .starts_with("pooling type 4 is not supported")
    );
    model.key("pooling_type", Value::U32(2));
    model.key("attention.causal", Value::Bool(true));
    assert_eq!(model.refused(), "`bert` with causal attention");
}

#[test]
fn names_what_it_does_not_know() {
    let unknown = spoilt("mamba", |_| ());
    let list = "bert, gemma2, gemma3, llama, mistral, phi3, qwen2, qwen3";
    assert_eq!(
        unknown,
        format!("architecture `mamba` is not supported ({list} are)")
    );
    let scaling = spoilt("llama", |model| {
        model.key("rope.scaling.type", Value::String("spiral".to_owned()));
    });
    assert!(
        scaling.starts_with("rotary scaling `spiral` is not supported"),
        "{scaling}"
    );
    let experts = spoilt("llama", |model| {
        model.key("expert_count", Value::U32(8));
    });
    assert!(experts.contains("llama.expert_count"), "{experts}");
    let tensor = spoilt("llama", |model| {
        model.tensor("blk.0.attn_sinks.weight", &[4]);
    });
    assert!(
        tensor.starts_with("tensor `blk.0.attn_sinks.weight` has no place"),
        "{tensor}"
    );
}

#[test]
fn names_the_tensor_that_does_not_fit() {
    for name in Model::decoder("llama").tensors.keys() {
        let missing = spoilt("llama", |model| drop(model.tensors.remove(name)));
        assert_eq!(missing, format!("missing tensor `{name}`"), "{name}");
        let wrong = spoilt("llama", |model| {
            model.tensor(name, &[32, 31]);
        });
        assert!(
            wrong.starts_with(&format!("tensor `{name}` has shape [32, 31], expected")),
            "{wrong}"
        );
        let unusable = spoilt("llama", |model| {
            let info = model.tensors.get_mut(name).unwrap();
            info.kind = TensorType::from_code(10).unwrap();
        });
        assert!(
            unusable.starts_with(&format!("tensor `{name}` has unsupported type Q2_K")),
            "{unusable}"
        );
    }
}

#[test]
fn refuses_hostile_numbers() {
    let whole = |key: &str, value: u64| {
        spoilt("llama", |model| {
            model.key(key, Value::U64(value));
        })
    };
    for key in [
        "block_count",
        "embedding_length",
        "attention.head_count",
        "context_length",
    ] {
        for value in [0, 1_000_000_000, u64::MAX] {
            let found = whole(key, value);
            let expected = format!("key `llama.{key}` is {value}, expected 1 to");
            assert!(found.starts_with(&expected), "{found}");
        }
    }
    assert!(whole("attention.head_count_kv", 3).contains("cannot share 3"));
    assert!(whole("attention.head_count", 5).contains("cannot share 2"));
    assert!(whole("rope.dimension_count", 9).contains("expected an even number of at most 8"));
    assert!(whole("block_count", 1024).starts_with("missing tensor `blk.2."));
    let list = Value::Array(Array::U32(vec![2, 2, 2]));
    let found = spoilt("llama", |model| {
        model.key("attention.head_count_kv", list);
    });
    assert!(found.contains("has 3 elements for 2 layers"), "{found}");
    for key in [
        "attention.layer_norm_rms_epsilon",
        "rope.freq_base",
        "rope.scaling.attn_factor",
    ] {
        for value in [f32::NAN, f32::INFINITY, -1.0] {
            let found = spoilt("llama", |model| {
                model.key(key, Value::F32(value));
            });
            assert!(
                found.starts_with(&format!("key `llama.{key}` is ")),
                "{found}"
            );
        }
    }
    let nothing = spoilt("llama", |model| {
        model.key("rope.scaling.type", Value::String("yarn".to_owned()));
    });
    assert_eq!(nothing, "missing key `llama.rope.scaling.factor`");
}

#[test]
fn a_layer_may_have_its_own_heads() {
    let mut model = Model::decoder("llama");
    model.key(
        "attention.head_count_kv",
        Value::Array(Array::U32(vec![2, 4])),
    );
    model
        .tensor("blk.1.attn_k.weight", &[32, 32])
        .tensor("blk.1.attn_v.weight", &[32, 32]);
    let network = model.record().unwrap();
    let heads: Vec<u32> = network.cache.iter().map(|layer| layer.kv_heads).collect();
    assert_eq!(heads, [2, 4]);
}
