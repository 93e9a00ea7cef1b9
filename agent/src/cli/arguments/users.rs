//! What can be typed about people.

use clap::{Args, Subcommand};

use super::Listed;

#[derive(Debug, Args)]
pub(in crate::cli) struct User {
    #[command(subcommand)]
    pub(in crate::cli) command: UserCommand,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum UserCommand {
    /// Let somebody sign in; asks for their password twice, and does not show it
    Add(NewUser),
    /// List who may sign in
    Ls(Listed),
    /// Show one of them
    Show(OneUser),
    /// Give somebody another password; what they are signed in with ends
    Passwd {
        /// Their name
        name: String,
        /// Take the password from standard input, the first line
        #[arg(long)]
        password_stdin: bool,
    },
    /// Say what somebody may do
    Role {
        /// Their name
        name: String,
        /// `admin` does everything; `member` asks models and has keys for that
        #[arg(value_parser = ["admin", "member"])]
        role: String,
    },
    /// Let somebody sign in no more; what they are signed in with ends
    Disable {
        /// Their name
        name: String,
    },
    /// Let somebody sign in again
    Enable {
        /// Their name
        name: String,
    },
    /// Forget somebody, and their keys
    #[command(visible_alias = "rm")]
    Remove {
        /// Their name
        name: String,
    },
}

#[derive(Debug, Args)]
pub(in crate::cli) struct NewUser {
    /// What they sign in as
    pub(in crate::cli) name: String,
    /// What they are called in full
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    pub(in crate::cli) display: String,
    /// `admin` does everything; `member` asks models and has keys for that
    #[arg(long, default_value = "member", value_parser = ["admin", "member"])]
    pub(in crate::cli) role: String,
    /// Take the password from standard input, the first line
    #[arg(long)]
    pub(in crate::cli) password_stdin: bool,
    /// Print JSON
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct OneUser {
    /// Their name
    pub(in crate::cli) name: String,
    /// Print JSON
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

pub(super) const USER_HELP: &str = "\
Examples:
  skep user add ada --role admin             asks for a password, twice
  skep user add bob < bob.txt --password-stdin
  skep user role bob admin
  skep user disable bob                      until `skep user enable bob`";

#[derive(Debug, Args)]
pub(in crate::cli) struct SignIn {
    #[command(subcommand)]
    pub(in crate::cli) command: SignInCommand,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum SignInCommand {
    /// Show how people sign in besides by passwords that are kept here
    Show(Listed),
    /// Try a directory or a provider for real, and keep nothing
    Test(SignInFile),
    /// Try it, and let people sign in by it when it works
    Set {
        #[command(flatten)]
        file: SignInFile,
        /// Keep it whatever the test says; that is remembered
        #[arg(long)]
        untested: bool,
    },
    /// Let nobody sign in by it any more; who did is signed out
    Remove {
        /// `ldap` or `oidc`
        #[arg(value_parser = ["ldap", "oidc"])]
        door: String,
    },
}

#[derive(Debug, Args)]
pub(in crate::cli) struct SignInFile {
    /// A file with `[ldap]` or `[oidc]` in it; `skep help sign-in` shows both
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) from: std::path::PathBuf,
    /// Take the password of `bind_dn`, or the client's secret, from standard input, the first line
    #[arg(long)]
    pub(in crate::cli) secret_stdin: bool,
    /// Look for this user in the directory, and tell what they would be here
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) user: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

pub(super) const SIGN_IN_HELP: &str = "\
Examples:
  skep sign-in test --from directory.toml --user ada
  skep sign-in set --from directory.toml --user ada

A directory:                                    A provider:
  [ldap]                                          [oidc]
  url = \"ldaps://ldap.example.org\"                name = \"Example\"
  bind_dn = \"cn=skep,dc=example,dc=org\"           issuer = \"https://id.example.org\"
  base = \"ou=people,dc=example,dc=org\"            client_id = \"skep\"
  filter = \"(uid={name})\"                         admins = \"groups=skep-admins\"
  admins = \"cn=ops,ou=groups,dc=example,dc=org\"   public_url = \"https://skep.example.org\"
  certificates_file = \"ca.pem\"                    certificates_file = \"ca.pem\"

`ldap://` needs `starttls = true`, or `plain = true` where passwords may cross the network readable.
The password of `bind_dn`, or the client's secret, is asked for. Each node keeps it among its secrets:
on the others, `skep secret set sign-in-ldap` or `sign-in-oidc`.";
