//! A contract that imports WASI, disguised from tools that take all of WASI for their own.
//!
//! Both tools run a component once while they make it, with WASI as they have it and without the contract's HTTP, and then take
//! WASI out of it:
//!
//! - `componentize-qjs` gives every unknown interface resources of no kind, so that HTTP's streams are not those of the WASI
//!   that it knows, and it stops there.
//! - `componentize-py --stub-wasi`, without which a component asks for sockets, which no world has, takes out HTTP as well.
//!
//! So they are given a copy of the contract in which what it imports of WASI has another name of the same length, and into what they
//! made a name is put back that hosts know. Decides the names; refuses to know what is in a component.

use std::fs;
use std::io;
use std::path::Path;

use crate::cli::Failure;

/// A name, what stands for it, and what takes its place again; all of one length.
#[derive(Clone, Copy, Debug)]
pub(super) struct Disguise {
    plain: &'static str,
    worn: &'static str,
    back: &'static str,
}

/// A version that `componentize-qjs` does not know; scripts name interfaces without one. The engine in what it makes imports the
/// same interfaces of 0.2.12, and nothing may be imported twice; to a host each 0.2 is as good.
pub(super) const OF_VERSION: Disguise = Disguise {
    plain: "@0.2.12",
    worn: "@7.7.77",
    back: "@0.2.11",
};

/// A package that `componentize-py` does not know.
pub(super) const OF_PACKAGE: Disguise = Disguise {
    plain: "wasi:",
    worn: "held:",
    back: "wasi:",
};

/// Whether a project's contract imports anything of WASI.
pub(super) fn is_needed(project: &Path) -> bool {
    project.join("wit/deps").is_dir()
}

/// Where the copy of the contract is, below a project.
pub(super) const COPY: &str = "build/wit";

impl Disguise {
    /// Copies the contract.
    pub(super) fn put_on(self, project: &Path) -> Result<(), Failure> {
        let copy = project.join(COPY);
        match fs::remove_dir_all(&copy) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed(&copy, &error));
            }
            _ => {}
        }
        self.copy(&project.join("wit"), &copy)
    }

    fn copy(self, from: &Path, to: &Path) -> Result<(), Failure> {
        fs::create_dir_all(to).map_err(|error| failed(to, &error))?;
        for entry in fs::read_dir(from).map_err(|error| failed(from, &error))? {
            let path = entry.map_err(|error| failed(from, &error))?.path();
            let Some(name) = path.file_name() else {
                continue;
            };
            let target = to.join(name);
            if path.is_dir() {
                self.copy(&path, &target)?;
                continue;
            }
            let text = fs::read_to_string(&path).map_err(|error| failed(&path, &error))?;
            fs::write(&target, text.replace(self.plain, self.worn))
                .map_err(|error| failed(&target, &error))?;
        }
        Ok(())
    }

    /// Puts names back.
    pub(super) fn take_off(self, made: &Path) -> Result<(), Failure> {
        let mut bytes = fs::read(made).map_err(|error| failed(made, &error))?;
        let (worn, back) = (self.worn.as_bytes(), self.back.as_bytes());
        let places: Vec<usize> = bytes
            .windows(worn.len())
            .enumerate()
            .filter(|(_, at)| *at == worn)
            .map(|(place, _)| place)
            .collect();
        for place in places {
            if let Some(name) = bytes.get_mut(place..place + back.len()) {
                name.copy_from_slice(back);
            }
        }
        fs::write(made, bytes).map_err(|error| failed(made, &error))
    }
}

fn failed(path: &Path, error: &io::Error) -> Failure {
    Failure::new(format!("`{}`: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_on_comes_off_again() {
        for disguise in [OF_VERSION, OF_PACKAGE] {
            assert_eq!(disguise.plain.len(), disguise.worn.len());
            assert_eq!(disguise.back.len(), disguise.worn.len());
            let project = tempfile::tempdir().unwrap();
            let deps = project.path().join("wit/deps/http");
            fs::create_dir_all(&deps).unwrap();
            let text = "package wasi:http@0.2.12;\n\n@since(version = 0.2.0)\ninterface types {}\n";
            fs::write(deps.join("package.wit"), text).unwrap();
            assert!(is_needed(project.path()));
            for _ in 0..2 {
                disguise.put_on(project.path()).unwrap();
            }
            let copy = project.path().join(COPY).join("deps/http/package.wit");
            let worn = fs::read_to_string(&copy).unwrap();
            assert!(worn.contains(disguise.worn) && !worn.contains(disguise.plain));
            disguise.take_off(&copy).unwrap();
            let back = text.replace(disguise.plain, disguise.back);
            assert_eq!(fs::read_to_string(&copy).unwrap(), back);
        }
    }
}
