//! A machine as it is once a plan was carried out, as far as facts tell.

use crate::host::installer::{
    Account, Action, Command, Facts, FileFacts, PackageFacts, Proposal, UnitFacts,
};

pub(super) fn carried_out(facts: &Facts, proposal: &Proposal) -> Facts {
    let mut facts = facts.clone();
    for planned in &proposal.actions {
        carry_out(&mut facts, &planned.action);
    }
    facts
}

fn carry_out(facts: &mut Facts, action: &Action) {
    match action {
        Action::WriteFile(file) => put(facts, &file.path, &file.content, file.mode),
        Action::EditBlock(block) => put(facts, &block.path, &block.lines.join("\n"), 0o644),
        Action::GenerateKey(key) => put(facts, &key.path, "", 0o600),
        Action::GenerateCertificate(certificate) => put(facts, &certificate.path, "", 0o644),
        Action::CreateGroup(name) => facts.groups.push(name.clone()),
        Action::CreateUser(user) => facts.accounts.push(Account {
            name: user.name.clone(),
            uid: 999,
            groups: vec![user.group.clone()],
            home: user.home.clone(),
        }),
        Action::JoinGroup(join) => {
            let mut accounts = facts.accounts.iter_mut();
            if let Some(account) = accounts.find(|account| account.name == join.user) {
                account.groups.push(join.group.clone());
            }
        }
        Action::InstallPackages(names) => {
            for name in names {
                facts.packages.retain(|package| package.name != *name);
                facts.packages.push(PackageFacts {
                    name: name.clone(),
                    installed: Some("1.0".to_owned()),
                    available: Some("1.0".to_owned()),
                });
            }
        }
        Action::EnableUnit(unit) => {
            facts.units.retain(|known| known.name != unit.name);
            facts.units.push(UnitFacts {
                name: unit.name.clone(),
                enabled: true,
                active: unit.start,
            });
        }
        Action::SetSetting(setting) => {
            facts.agent.settings.retain(|(key, _)| *key != setting.key);
            if let Some(value) = &setting.value {
                let pair = (setting.key.clone(), value.clone());
                facts.agent.settings.push(pair);
            }
        }
        Action::KeepSecret(secret) => {
            if !facts.agent.secrets.contains(&secret.name) {
                facts.agent.secrets.push(secret.name.clone());
            }
        }
        Action::AddUpstream(upstream) => {
            if !facts.agent.upstreams.contains(&upstream.name) {
                facts.agent.upstreams.push(upstream.name.clone());
            }
        }
        Action::Run(Command::SetPowerLimit(limit)) => {
            let mut gpus = facts.gpus.iter_mut();
            if let Some(gpu) = gpus.find(|gpu| gpu.id == limit.gpu) {
                gpu.power_limit_w = Some(limit.watts);
            }
        }
        // What facts do not tell of.
        Action::Run(_)
        | Action::MakeFolder(_)
        | Action::OpenPort(_)
        | Action::Download(_)
        | Action::InstallProgram(_)
        | Action::StartContainers(_) => {}
    }
}

fn put(facts: &mut Facts, path: &str, content: &str, mode: u16) {
    facts.files.retain(|file| file.path != path);
    facts.files.push(FileFacts {
        path: path.to_owned(),
        content: Some(content.to_owned()),
        mode,
        owner: facts.agent.user.clone(),
        group: facts.agent.user.clone(),
        size_bytes: content.len() as u64,
    });
}
