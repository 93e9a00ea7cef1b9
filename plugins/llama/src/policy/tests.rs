//! Room for models that were never loaded: only sizes and types count.

use super::*;
use crate::arch::{WeightSpec, Yields};

/// Two layers of two heads, and one matrix of `dtype`.
fn network(key_width: u32, dtype: Dtype) -> Network {
    let layer = CacheLayer {
        kv_heads: 2,
        key_width,
        value_width: 64,
    };
    Network {
        ops: Vec::new(),
        weights: vec![WeightSpec {
            name: "output.weight".to_owned(),
            source: WeightSource::File { offset: 0, dtype },
            rows: 8,
            columns: 32,
        }],
        cache: vec![layer; 2],
        yields: Yields::Logits,
        trained_context: 4096,
    }
}

fn settings() -> Settings {
    Settings {
        context_tokens: None,
        sequences: Some(1),
        cache_bytes: None,
        speculate: true,
        cache_type: None,
    }
}

/// Bytes of 4096 tokens as f16.
const HALVES: u64 = 4096 * 2 * 2 * 128 * 2;

#[test]
fn the_cache_is_kept_as_asked_where_it_can_be() {
    let check = |network: Network, cache_type, expect: Dtype, remark: bool| {
        let settings = Settings {
            cache_type,
            ..settings()
        };
        let room = Room::plan(&network, &settings, u64::MAX, 0, 0).unwrap();
        assert_eq!(room.cache.dtype, expect, "{cache_type:?}");
        assert_eq!(room.remark(&settings).is_some(), remark, "{cache_type:?}");
        assert_eq!(room.context, 4096);
        assert_eq!(room.cache.pages, 4096 / PAGE_TOKENS);
    };
    check(network(64, Dtype::Q80), None, Dtype::F16, false);
    check(network(64, Dtype::F32), None, Dtype::F32, false);
    for (asked, expect) in [
        (CacheType::F32, Dtype::F32),
        (CacheType::F16, Dtype::F16),
        (CacheType::Q80, Dtype::Q80),
    ] {
        check(network(64, Dtype::Q40), Some(asked), expect, false);
        check(network(64, Dtype::F32), Some(asked), expect, false);
    }
    let odd = network(80, Dtype::Q80);
    check(odd, Some(CacheType::Q80), Dtype::F16, true);
}

#[test]
fn a_context_that_fits_only_as_bytes_is_kept_so() {
    let fitted = |key_width, cache_type, context_tokens, cache_bytes| {
        let settings = Settings {
            context_tokens,
            cache_bytes: Some(cache_bytes),
            cache_type,
            ..settings()
        };
        let room = Room::plan(&network(key_width, Dtype::Q80), &settings, u64::MAX, 0, 0);
        room.map(|room| {
            let (context, dtype) = (room.context, room.cache.dtype);
            (context, dtype, room.remark(&settings).is_some())
        })
    };
    let asked = Some(4096);
    assert_eq!(
        fitted(64, None, asked, HALVES).unwrap(),
        (4096, Dtype::F16, false)
    );
    assert_eq!(
        fitted(64, None, asked, HALVES - 1).unwrap(),
        (4096, Dtype::Q80, true)
    );
    let bytes = HALVES / 64 * 34;
    assert_eq!(
        fitted(64, None, asked, bytes).unwrap(),
        (4096, Dtype::Q80, true)
    );
    let full = Settings {
        context_tokens: asked,
        cache_bytes: Some(HALVES),
        ..settings()
    };
    let room = Room::plan(&network(64, Dtype::F32), &full, u64::MAX, 0, 0).unwrap();
    assert_eq!(room.cache.dtype, Dtype::F16);
    // Not even so; not as the operator said; not with such heads.
    for refused in [
        fitted(64, None, asked, bytes - 1),
        fitted(64, Some(CacheType::F16), asked, HALVES - 1),
        fitted(80, None, asked, HALVES - 1),
    ] {
        assert!(matches!(refused, Err(Error::Exhausted(_))));
    }
    // Nobody asked for so much.
    assert_eq!(
        fitted(64, None, None, HALVES / 2).unwrap(),
        (2048, Dtype::F16, false)
    );
}
