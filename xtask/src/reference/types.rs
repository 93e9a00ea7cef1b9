//! Types and functions as the reference has them: as WIT spells them, with what is said of each part. Decides nothing else.

use std::fmt::Write as _;

use anyhow::{Context, Result};
use wit_parser::{Function, Handle, Interface, Resolve, Type, TypeDefKind, TypeId, TypeOwner};

use super::docs;

/// A type of an interface, with its functions where it is a resource.
pub(super) fn define(
    text: &mut String,
    contract: &Resolve,
    interface: &Interface,
    name: &str,
    id: TypeId,
) -> Result<()> {
    let found = contract.types.get(id).context("no type")?;
    let mut rows = Vec::new();
    let kind = match &found.kind {
        TypeDefKind::Record(record) => {
            for field in &record.fields {
                rows.push((
                    format!("{}: {}", field.name, spelled(contract, &field.ty)?),
                    &field.docs,
                ));
            }
            "record"
        }
        TypeDefKind::Variant(variant) => {
            for case in &variant.cases {
                let held = match &case.ty {
                    Some(held) => format!("({})", spelled(contract, held)?),
                    None => String::new(),
                };
                rows.push((format!("{}{held}", case.name), &case.docs));
            }
            "variant"
        }
        TypeDefKind::Enum(of) => {
            rows.extend(of.cases.iter().map(|case| (case.name.clone(), &case.docs)));
            "enum"
        }
        TypeDefKind::Flags(flags) => {
            rows.extend(
                flags
                    .flags
                    .iter()
                    .map(|flag| (flag.name.clone(), &flag.docs)),
            );
            "flags"
        }
        TypeDefKind::Resource => "resource",
        // Of another interface, where it is told.
        TypeDefKind::Type(Type::Id(used)) if used_elsewhere(contract, *used, id) => return Ok(()),
        TypeDefKind::Type(other) => {
            rows.push((spelled(contract, other)?, &found.docs));
            let _ = write!(
                text,
                "#### type `{name}` = `{}`\n\n",
                spelled(contract, other)?
            );
            return Ok(());
        }
        other => other.as_str(),
    };
    let _ = write!(text, "#### {kind} `{name}`\n\n");
    let said = docs(&found.docs);
    if !said.is_empty() {
        let _ = write!(text, "{said}\n\n");
    }
    for (what, said) in &rows {
        let said = docs(said).replace('\n', " ");
        let colon = if said.is_empty() { "" } else { ": " };
        let _ = writeln!(text, "- `{what}`{colon}{said}");
    }
    if !rows.is_empty() {
        text.push('\n');
    }
    for of in interface.functions.values() {
        if of.kind.resource() == Some(id) {
            function(text, contract, of)?;
        }
    }
    Ok(())
}

/// A function with what is said of it.
pub(super) fn function(text: &mut String, contract: &Resolve, of: &Function) -> Result<()> {
    let resource = match of.kind.resource() {
        Some(id) => contract.types.get(id).and_then(|found| found.name.clone()),
        None => None,
    };
    let mut parameters = Vec::new();
    for parameter in &of.params {
        // A method's own.
        if parameter.name != "self" {
            parameters.push(format!(
                "{}: {}",
                parameter.name,
                spelled(contract, &parameter.ty)?
            ));
        }
    }
    let result = match &of.result {
        Some(result) => format!(" -> {}", spelled(contract, result)?),
        None => String::new(),
    };
    let of_what = resource.map_or_else(String::new, |name| format!("{name}."));
    let _ = write!(
        text,
        "#### `{of_what}{}`\n\n```wit\n{}: func({}){result}\n```\n\n",
        of.item_name(),
        of.item_name(),
        parameters.join(", ")
    );
    let said = docs(&of.docs);
    if !said.is_empty() {
        let _ = write!(text, "{said}\n\n");
    }
    Ok(())
}

/// Whether a type stands for one that another interface defines.
fn used_elsewhere(contract: &Resolve, used: TypeId, here: TypeId) -> bool {
    let owner = |id| contract.types.get(id).map(|found| found.owner);
    match (owner(used), owner(here)) {
        (Some(TypeOwner::Interface(used)), Some(TypeOwner::Interface(here))) => used != here,
        _ => false,
    }
}

fn spelled(contract: &Resolve, of: &Type) -> Result<String> {
    let id = match of {
        Type::Id(id) => *id,
        Type::Bool => return Ok("bool".to_owned()),
        Type::Char => return Ok("char".to_owned()),
        Type::String => return Ok("string".to_owned()),
        other => return Ok(format!("{other:?}").to_lowercase()),
    };
    let found = contract.types.get(id).context("no type")?;
    if let Some(name) = &found.name {
        return Ok(name.clone());
    }
    let maybe = |of: &Option<Type>| {
        of.as_ref()
            .map_or_else(|| Ok("_".to_owned()), |of| spelled(contract, of))
    };
    Ok(match &found.kind {
        TypeDefKind::List(of) => format!("list<{}>", spelled(contract, of)?),
        TypeDefKind::Option(of) => format!("option<{}>", spelled(contract, of)?),
        TypeDefKind::Result(result) if result.ok.is_none() && result.err.is_none() => {
            "result".to_owned()
        }
        TypeDefKind::Result(result) if result.err.is_none() => {
            format!("result<{}>", maybe(&result.ok)?)
        }
        TypeDefKind::Result(result) => {
            format!("result<{}, {}>", maybe(&result.ok)?, maybe(&result.err)?)
        }
        TypeDefKind::Tuple(tuple) => {
            let parts = tuple.types.iter().map(|of| spelled(contract, of));
            format!("tuple<{}>", parts.collect::<Result<Vec<_>>>()?.join(", "))
        }
        TypeDefKind::Handle(Handle::Own(id)) => spelled(contract, &Type::Id(*id))?,
        TypeDefKind::Handle(Handle::Borrow(id)) => {
            format!("borrow<{}>", spelled(contract, &Type::Id(*id))?)
        }
        other => other.as_str().to_owned(),
    })
}
