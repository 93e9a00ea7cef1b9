//! What an Xid number says of the device, after NVIDIA's "Xid Errors"
//! (<https://docs.nvidia.com/deploy/xid-errors/>) and its catalogue of them, column "immediate
//! action".
//!
//! Decides which are the device's fault and which an application's; refuses to know what follows.
//! NVIDIA says that the meaning of a number stays the same over drivers. A number that is not here
//! is no verdict: most of them are an application's, or have never been seen.

/// What an Xid says of the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// It is no longer there: the machine has to be restarted.
    Gone(&'static str),
    /// Nothing that it computes can be relied on until it was reset.
    NeedsReset(&'static str),
    /// An application erred, or lost its work; the device is as good as before.
    Application,
    /// Not known to this version.
    Unknown,
}

pub(super) fn meaning(number: u32) -> Meaning {
    use Meaning::{Application, Gone, NeedsReset, Unknown};
    match number {
        79 => Gone("it has fallen off the bus"),
        46 => NeedsReset("it stopped processing"),
        48 => NeedsReset("memory failed past mending (double-bit error)"),
        61 | 62 => NeedsReset("its internal controller halted"),
        64 => NeedsReset("bad memory could not be recorded for replacement"),
        74 => NeedsReset("an NVLink connection failed"),
        95 => NeedsReset("a memory error could not be contained"),
        109 => NeedsReset("it did not switch contexts in time"),
        119 => NeedsReset("its system processor (GSP) did not answer"),
        120 => NeedsReset("its system processor (GSP) failed"),
        140 => NeedsReset("memory failed past mending (unrecovered error)"),
        143 => NeedsReset("it could not be initialised"),
        // 63 and 94: memory is about to be replaced, or an error was contained. The counters of
        // memory errors tell that, and whether a reset is pending, by themselves.
        8 | 13 | 31 | 32 | 43 | 45 | 63 | 69 | 94 => Application,
        _ => Unknown,
    }
}
