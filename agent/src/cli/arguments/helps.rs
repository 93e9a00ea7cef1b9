//! What stands below the help of a command: examples, keys, exit statuses.

pub(super) const AFTER_HELP: &str = "\
First steps:
  skep up                               start the agent (leave it running)
  skep run tiny \"The borrow checker\"    ask the model that comes with it
  skep pull https://example.org/m.gguf  bring a better one
  skep token new                        let another machine in; it says what to type there
  skep doctor                           when something is wrong

Environment:
  SKEP_URL       the agent's address, for use from another machine
  SKEP_API_KEY   the key that it wants; `skep keys new NAME` makes one
  SKEP_HOME      one folder for everything, as `--home`
  NO_COLOR       no colours

Exit status:
  0 done   1 failed   2 not understood   3 no agent answers   130 interrupted
  (`skep doctor`: 0 nothing wrong, 1 warnings, 2 something must be mended)";

pub(super) const UP_HELP: &str = "\
Examples:
  skep up
  skep up --listen 127.0.0.1:8000
  skep up --home /srv/skep --log-level debug
  skep up --set models.default=qwen3-0.6b

Exit status, after sysexits.h:
  0 stopped when asked to    65 a file of ours is damaged    70 a defect
  73 a folder or file cannot be made    75 another agent or program is in the way
  78 the configuration is wrong";

pub(super) const RUN_HELP: &str = "\
Examples:
  skep run tiny \"The borrow checker\"
  skep run tiny                          a conversation; /help lists its commands
  skep run tiny < question.txt
  git diff | skep run qwen3-0.6b \"What does this change do?\" -
  skep run tiny --temperature 0 --max-tokens 50 --json \"A slice is\"";

pub(super) const PULL_HELP: &str = "\
Examples:
  skep pull hf:Qwen/Qwen3-4B-GGUF:Q4_K_M
  skep pull https://example.org/qwen3-0.6b-q4_k_m.gguf --name qwen3-0.6b
  skep pull ./model.gguf
  skep pull https://example.org/m.gguf --sha256 9f86d0...

What was interrupted goes on where it was when the same pull is typed again. `skep catalogue` lists
models that are worth a try.";

pub(super) const EXPLAIN_HELP: &str = "\
Examples:
  skep explain last
  skep explain chatcmpl-3f0c9a1e000000000007 --json

The latest 256 requests are remembered; neither prompts nor answers are.";

pub(super) const SCHEDULER_HELP: &str = "\
Examples:
  skep scheduler shadow pack             try it on what really happens
  skep scheduler diff                    and see where it differs
  skep scheduler use pack
  skep scheduler use ./my-scheduler.wasm

A scheduler that fails three times is replaced by the one before it.";
pub(super) const TOP_HELP: &str = "\
Keys: q quits, Tab goes to the next table, Up and Down choose a row and show why it is as it is,
Left and Right sort by another column.";

pub(super) const DOCTOR_HELP: &str = "\
Examples:
  skep doctor
  skep doctor --gpu --seconds 300        and keep the cards free of other work meanwhile
  skep doctor --bundle skep.tar.gz       for whoever helps you

Exit status: 0 nothing wrong, 1 warnings, 2 something must be mended";

pub(super) const COMPLETIONS_HELP: &str = "\
Examples:
  skep completions bash > ~/.local/share/bash-completion/completions/skep
  skep completions zsh > ~/.zfunc/_skep
  skep completions fish > ~/.config/fish/completions/skep.fish";
