//! Everything that is ever run on another machine.
//!
//! Each is text that never changes, for whatever `sh` is there, handed to it in single quotes through whatever
//! shell the user has there: so none has a single quote in it. What varies comes as plain words (`$1`) or over
//! standard input.

/// What that machine is.
pub(super) const SURVEY: &str = r#"
echo "os=$(uname -s)"
echo "arch=$(uname -m)"
echo "uid=$(id -u)"
echo "home=$HOME"
for tool in sha256sum head mv setsid nohup; do
  command -v $tool > /dev/null 2>&1 || echo "lacks=$tool"
done
for folder in .local .local/bin .local/state .local/state/skep .local/share .local/share/skep .cache .cache/skep \
  .config .config/skep .config/systemd .config/systemd/user; do
  [ -d "$HOME/$folder" ] || echo "missing=$folder"
done
if [ -d /run/systemd/system ] && systemctl --user show-environment > /dev/null 2>&1; then echo "units=yes"; fi
if [ -e "$HOME/.config/systemd/user/skep.service" ]; then echo "unit=yes"; fi
if [ -f "$HOME/.local/bin/skep" ]; then echo "there=$(sha256sum "$HOME/.local/bin/skep" | cut -c 1-64)"; fi
if "$HOME/.local/bin/skep" node --json > /dev/null 2>&1; then echo "runs=yes"; fi
echo "free=$(df -Pk "$HOME" | tail -n 1)"
"#;

/// Makes the folders that the program goes to.
pub(super) const FOLDERS: &str = r#"umask 077; mkdir -p "$HOME/.local/bin""#;

/// Takes the program from standard input (`$1` its digest, `$2` its bytes), checks it, sees whether it runs, and gives it
/// its name; one that was there before is kept beside it.
pub(super) const PLACE: &str = r#"
set -eu
umask 077
folder="$HOME/.local/bin"
part="$folder/.skep.part"
rm -f "$part"
head -c "$2" > "$part"
found=$(sha256sum "$part" | cut -c 1-64)
if [ "$found" != "$1" ]; then rm -f "$part"; echo "what arrived has another digest: $found" >&2; exit 9; fi
chmod 755 "$part"
if ! said=$("$part" --version 2>&1); then rm -f "$part"; echo "the program does not run there: $said" >&2; exit 10; fi
if [ -e "$folder/skep" ] && [ ! -e "$folder/skep.before" ]; then mv "$folder/skep" "$folder/skep.before"; fi
mv "$part" "$folder/skep"
"#;

/// Has the user's systemd run it; the unit comes over standard input.
pub(super) const UNIT: &str = r#"
set -eu
umask 077
mkdir -p "$HOME/.config/systemd/user"
cat > "$HOME/.config/systemd/user/skep.service"
systemctl --user daemon-reload
systemctl --user enable --now skep.service
loginctl enable-linger > /dev/null 2>&1 || echo "linger=no"
"#;

/// Starts it so that it goes on when the connection ends.
pub(super) const START: &str = r#"
set -eu
umask 077
setsid nohup "$HOME/.local/bin/skep" up > "$HOME/.local/bin/.skep.log" 2>&1 < /dev/null &
echo "pid=$!"
"#;

/// Waits until it answers, at most `$1` seconds; `$2` is its process, 0 when that is not known.
pub(super) const READY: &str = r#"
tried=0
while [ "$tried" -lt "$1" ]; do
  if "$HOME/.local/bin/skep" node --json > /dev/null 2>&1; then exit 0; fi
  if [ "$2" -gt 0 ] && ! kill -0 "$2" 2> /dev/null; then break; fi
  tried=$((tried + 1))
  sleep 1
done
tail -n 5 "$HOME/.local/bin/.skep.log" >&2 2> /dev/null
exit 1
"#;

/// Joins, with the token from standard input.
pub(super) const JOIN: &str = r#"exec "$HOME/.local/bin/skep" join - --json"#;

/// Stops what systemd runs, and takes the unit away.
pub(super) const UNIT_AWAY: &str = r#"
systemctl --user disable --now skep.service > /dev/null 2>&1
rm -f "$HOME/.config/systemd/user/skep.service"
systemctl --user daemon-reload > /dev/null 2>&1
exit 0
"#;

/// Ends the process `$1` if it is a skep from where ours lies, and waits for that; every such process of this user when
/// it is 0.
pub(super) const STOP: &str = r#"
if [ "$1" -eq 0 ]; then
  for process in /proc/[0-9]*; do
    case "$(readlink "$process/exe" 2> /dev/null)" in "$HOME/.local/bin/skep"*) kill "${process#/proc/}";; esac
  done
  exit 0
fi
is_ours() { case "$(readlink "/proc/$1/exe" 2> /dev/null)" in "$HOME/.local/bin/skep"*) return 0;; esac; return 1; }
if is_ours "$1"; then kill "$1"; fi
tried=0
while is_ours "$1"; do
  tried=$((tried + 1))
  if [ "$tried" -gt 20 ]; then kill -9 "$1"; fi
  if [ "$tried" -gt 25 ]; then echo "the agent there (process $1) does not end" >&2; exit 1; fi
  sleep 1
done
rm -f "$HOME/.local/bin/.skep.log"
"#;

/// Takes the program with the digest `$1` away; the one before has its name again. Another one is left.
pub(super) const AWAY: &str = r#"
folder="$HOME/.local/bin"
rm -f "$folder/.skep.part"
if [ -f "$folder/skep" ]; then
  found=$(sha256sum "$folder/skep" | cut -c 1-64)
  if [ "$found" != "$1" ]; then echo "left=$found"; exit 0; fi
  rm -f "$folder/skep"
fi
if [ -e "$folder/skep.before" ]; then mv "$folder/skep.before" "$folder/skep"; fi
"#;

/// Removes the folder `$1` below the user's own if nothing is in it.
pub(super) const FOLDER_AWAY: &str = r#"[ -d "$HOME/$1" ] || exit 0; rmdir "$HOME/$1" 2> /dev/null && echo "gone=yes" || echo "left=yes""#;

/// Removes the agent's folder `$1` below the user's own with all that is in it, but for models that somebody fetched.
pub(super) const HOME_AWAY: &str = r#"
[ -d "$HOME/$1" ] || exit 0
for model in "$HOME/$1"/models/manifests/*; do
  case "$model" in */tiny.json) continue;; esac
  if [ -e "$model" ]; then echo "left=models"; exit 0; fi
done
rm -rf "$HOME/$1" && echo "gone=yes"
"#;

/// What runs it where the user has a systemd.
pub(super) const UNIT_TEXT: &str = "\
[Unit]
Description=skep, one private AI cluster from one binary
After=network-online.target

[Service]
ExecStart=%h/.local/bin/skep up
Restart=on-failure
RestartSec=5
NoNewPrivileges=yes

[Install]
WantedBy=default.target
";

/// The command line of a script; none when a word is not plain.
pub(super) fn command(script: &str, words: &[&str]) -> Option<String> {
    let plain = |letter: u8| letter.is_ascii_alphanumeric() || b"._/:=-".contains(&letter);
    let sound = |word: &&str| !word.is_empty() && word.bytes().all(plain);
    if script.contains('\'') || !words.iter().all(sound) {
        return None;
    }
    let mut line = format!("sh -c '{script}' skep");
    for word in words {
        line.push(' ');
        line.push_str(word);
    }
    Some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_can_be_quoted_and_words_cannot_leave_theirs() {
        for script in [
            SURVEY,
            FOLDERS,
            PLACE,
            UNIT,
            START,
            READY,
            JOIN,
            UNIT_AWAY,
            STOP,
            AWAY,
            FOLDER_AWAY,
            HOME_AWAY,
        ] {
            assert!(command(script, &["0", ".local/bin"]).is_some(), "{script}");
            let checked = std::process::Command::new("sh")
                .args(["-n", "-c", script])
                .output();
            let checked = checked.unwrap();
            assert!(checked.status.success(), "{script}: {checked:?}");
        }
        for bad in [
            "", "a b", "'", "\"", "$x", "`id`", "a;b", "a\nb", "é", "a&b", "~",
        ] {
            assert_eq!(command(START, &[bad]), None, "{bad}");
        }
        assert_eq!(command("echo 'x'", &[]), None);
    }
}
