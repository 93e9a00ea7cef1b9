//! `skep catalogue`: models that can be pulled, and whether they fit here.

use super::figures;
use super::table::{Cell, Hue, Table};
use super::terminal::{Paint, say};
use super::{Failure, print_json};
use crate::client::Client;
use crate::wire::ModelOffers;

pub(super) fn list(client: &Client, json: bool) -> Result<(), Failure> {
    let offers: ModelOffers = client.get("/api/v1/models/-/offers")?;
    if json {
        return print_json(&offers);
    }
    say(render(&offers, Paint::for_stdout()))?;
    Ok(())
}

pub(super) fn render(offers: &ModelOffers, paint: Paint) -> String {
    let mut table = Table::new(["MODEL", "FOR", ">ABOUT", "FITS HERE", "LICENCE", "PULL"]);
    for offer in &offers.offers {
        let fits = match (offer.here, offer.fits.as_deref()) {
            (true, _) => Cell::new("is here", Hue::Good),
            (_, Some("card")) => Cell::new("on the card", Hue::Good),
            (_, Some(_)) => Cell::new("in memory", Hue::Plain),
            (_, None) => Cell::new("no", Hue::Doubtful),
        };
        table.row([
            Cell::new(offer.title.as_str(), Hue::Strong),
            offer.purpose.as_str().into(),
            figures::size(offer.about_bytes).into(),
            fits,
            Cell::new(offer.licence.as_str(), Hue::Faint),
            offer.source.as_str().into(),
        ]);
    }
    format!(
        "{}\n\n`skep pull {}` brings the first; any GGUF of a hub as `hf:OWNER/REPOSITORY`",
        table.render(paint),
        offers
            .offers
            .first()
            .map_or("SOURCE", |offer| offer.source.as_str())
    )
}
