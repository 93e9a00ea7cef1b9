//! Addresses as pictures for cameras (ISO/IEC 18004), in SVG.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::Extension;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use qrcode::{Color, EcLevel, QrCode};
use serde::Deserialize;

use crate::agent::Agent;
use crate::http::Caller;
use crate::http::api::refusal::Refusal;
use crate::http::error::ApiError;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    r#for: For,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum For {
    /// The page.
    Phone,
    /// The page's part for the next machine.
    Join,
}

/// The page's address. No secret is in it: whoever scans it signs in.
pub(super) async fn show(
    State(agent): State<Arc<Agent>>,
    Extension(caller): Extension<Caller>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Response, Refusal> {
    // It tells no more than the page does, also once the setup is finished.
    if caller == Caller::Anonymous {
        return Err(Refusal::unknown_caller());
    }
    let path = match wanted?.0.r#for {
        For::Phone => "/",
        For::Join => "/#/nodes",
    };
    let picture = picture(&format!("{}{path}", agent.public_url()))
        .ok_or_else(|| ApiError::internal("the address is too long for a picture"))?;
    let mut response = picture.into_response();
    let kind = HeaderValue::from_static("image/svg+xml");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    Ok(response)
}

/// Dark on light, with the margin of four that cameras need.
fn picture(text: &str) -> Option<String> {
    let code = QrCode::with_error_correction_level(text, EcLevel::M).ok()?;
    let side = code.width();
    let mut path = String::new();
    for (at, colour) in code.to_colors().into_iter().enumerate() {
        if colour == Color::Dark {
            // Writing to a string cannot fail.
            let _ = write!(path, "M{} {}h1v1h-1z", at % side + 4, at / side + 4);
        }
    }
    let whole = side + 8;
    Some(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {whole} {whole}\" \
         shape-rendering=\"crispEdges\"><path fill=\"#fff\" d=\"M0 0h{whole}v{whole}H0z\"/>\
         <path d=\"{path}\"/></svg>"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_corners_are_where_cameras_look() {
        let picture = picture("https://192.168.1.7:7420/").unwrap();
        // The first rows of the three squares that tell the orientation.
        for corner in ["M4 4h1", "M10 4h1", "M4 10h1"] {
            assert!(picture.contains(corner), "{picture}");
        }
        assert!(!picture.contains("M11 4h1"));
        assert!(super::picture(&"x".repeat(5_000)).is_none());
    }
}
