//! The world `installer`: one step of a setup, which asks, plans and checks, and does nothing.
//!
//! A step is told what is known of a machine ([`Facts`]). It asks a person some questions, and makes of the answers a [`Plan`]: a list
//! of typed actions, each of which can be undone. The host shows the plan, carries it out once somebody agreed, and keeps a
//! journal. So a step needs no rights at all; it imports nothing, and each call has an instance of its own.
//!
//! This is a whole one. It keeps a note in the machine's message of the day:
//!
//! ```
//! use skep_sdk::installer::{
//!     Description, EditBlock, Facts, Finding, Form, Installer, Need, Plan,
//! };
//!
//! struct Motd;
//!
//! /// What somebody wants, once everything is answered.
//! struct Wish {
//!     greeting: String,
//! }
//!
//! impl Installer for Motd {
//!     type Wish = Wish;
//!
//!     fn describe() -> Description {
//!         Description::new("Greeting", "Tells who signs in what runs here.")
//!             .needs(Need::File("/etc/motd".into()))
//!     }
//!
//!     fn ask(facts: &Facts, form: &mut Form<'_>) -> Wish {
//!         let greeting = form
//!             .text("greeting", "Greeting")
//!             .help("One line that everybody sees who signs in.")
//!             .default(format!("Models run on {}.", facts.agent.node))
//!             .at_most(200)
//!             .get();
//!         if greeting.contains('#') {
//!             form.wrong("greeting", "`#` begins a comment there: leave it out");
//!         }
//!         Wish { greeting }
//!     }
//!
//!     fn plan(_: &Facts, wish: Wish, plan: &mut Plan) -> Result<(), String> {
//!         plan.act(
//!             EditBlock {
//!                 path: "/etc/motd".into(),
//!                 name: "greeting".into(),
//!                 comment: "#".into(),
//!                 lines: vec![wish.greeting],
//!             },
//!             "Whoever signs in sees it.",
//!         );
//!         Ok(())
//!     }
//!
//!     fn check(facts: &Facts) -> Vec<Finding> {
//!         match facts.text("/etc/motd") {
//!             Some(text) => vec![Finding::fine("People are greeted.", format!("/etc/motd has {} bytes", text.len()))],
//!             None => vec![
//!                 Finding::notice("Nobody is greeted.", "there is no /etc/motd")
//!                     .remedy("go through this step of the setup"),
//!             ],
//!         }
//!     }
//! }
//!
//! skep_sdk::installer!(Motd);
//! ```
//!
//! # Questions
//!
//! [`Form`] asks and reads at once: `get` gives what is in force, the answer if there is a sensible one and the default otherwise.
//! What does not fit its question is told to whoever types; [`Form::wrong`] tells more. `plan` is called only when nothing is wrong
//! and with the [`Installer::Wish`] that the same `ask` made, so that both never differ. Further questions may depend on what
//! was answered: do not ask them, and their answers do not count.
//!
//! Every question has a default if anything sensible can be one: people who do not know press the button.
//!
//! # Plans
//!
//! An action says how a machine should be, not what changes: the host looks what is so already and does the rest. So a plan does not
//! depend on what was done before, and running it twice changes nothing. What only a person can do is a [`Plan::note`].
//! What comes from the machine or from a person and goes into a file has to be fit for that file: [`toml`] quotes for the agent's
//! settings.
//!
//! # Findings
//!
//! `check` looks without asking, for the wizard and for `skep doctor`. Each finding has its evidence: the value or the line
//! that it rests on, so that a person can judge it.
//!
//! # Tests
//!
//! [`samples`] has machines to try a step on, and [`try_out`] asks and plans as the host would:
//!
//! ```
//! # use skep_sdk::installer::{Description, Facts, Finding, Form, Installer, Plan, toml};
//! # struct Named;
//! # impl Installer for Named {
//! #     type Wish = String;
//! #     fn describe() -> Description { Description::new("Name", "Names the node.") }
//! #     fn ask(_: &Facts, form: &mut Form<'_>) -> String {
//! #         form.text("name", "Name").default("hive").get()
//! #     }
//! #     fn plan(_: &Facts, name: String, plan: &mut Plan) -> Result<(), String> {
//! #         plan.set("node.name", toml::text(&name), "It is seen by that name.");
//! #         Ok(())
//! #     }
//! #     fn check(_: &Facts) -> Vec<Finding> { Vec::new() }
//! # }
//! use skep_sdk::installer::{Value, answer, samples, try_out};
//!
//! let tried = try_out::<Named>(&samples::debian(), &[answer("name", Value::Text("attic".into()))]);
//! let plan = tried.plan.expect("nothing is wrong");
//! assert_eq!(plan.actions.len(), 1);
//! ```

use alloc::string::String;
use alloc::vec::Vec;
use core::marker::PhantomData;

mod fields;
mod form;
mod known;
mod plan;
pub mod samples;
mod spelling;
pub mod toml;
mod trial;

#[doc(hidden)]
#[allow(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    missing_debug_implementations,
    unsafe_code,
    clippy::all,
    clippy::error_impl_error,
    clippy::undocumented_unsafe_blocks,
    clippy::use_self,
    reason = "generated from wit/"
)]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../wit",
        world: "installer",
        pub_export_macro: true,
        default_bindings_module: "skep_sdk::installer::bindings",
        additional_derives: [PartialEq],
    });
}

pub use bindings::skep::plugin::install_types::{
    Account, Action, AddUpstream, Agent, Answer, Command, Compose, CreateUser, Description, Disk,
    Download, EditBlock, EnableUnit, Facts, FileFacts, Finding, Firewall, FirewallKind,
    GenerateCertificate, GenerateKey, Gpu, JoinGroup, KeepSecret, KeyKind, Kind, LinkKind,
    Listener, MakeFolder, Need, Neighbour, NetworkInterface, NumberRule, OpenPort, OptionItem,
    Owner, PackageFacts, Planned, Program, Proposal, Protocol, Question, Route, Scope, Service,
    SetPower, SetSetting, Severity, System, TextRule, UnitFacts, Value, Vendor, WriteFile,
};

pub use fields::{Choice, Field, Flag, Lines, Number, Secret, Several, Text};
pub use form::Form;
pub use plan::Plan;
pub use spelling::is_path;
pub use trial::{Trial, answer, try_out};

use bindings::exports::skep::plugin::step::Guest;

/// A step of a setup. All of it are functions of what is passed in: the same calls give the same answers.
pub trait Installer: 'static {
    /// What somebody wants, as [`Installer::ask`] makes it of the answers.
    type Wish;

    /// What it is, and what it wants to know. The same at each call.
    fn describe() -> Description;

    /// Asks, says what is wrong with answers, and makes a wish of them. It is called as somebody types, with answers that may
    /// be missing or left from another version.
    fn ask(facts: &Facts, form: &mut Form<'_>) -> Self::Wish;

    /// What would be done. Called only with a wish that nothing is wrong with.
    ///
    /// # Errors
    /// Why there is no plan for this machine, and what a person can do: one sentence.
    fn plan(facts: &Facts, wish: Self::Wish, plan: &mut Plan) -> Result<(), String>;

    /// What is right and wrong on a machine, as far as this step is about it.
    fn check(facts: &Facts) -> Vec<Finding>;
}

/// Exports an [`installer::Installer`] as the component's only content.
#[macro_export]
macro_rules! installer {
    ($installer:ty) => {
        #[allow(unsafe_code, reason = "the component's entry points are generated")]
        const _: () = {
            #[cfg(target_arch = "wasm32")]
            type Component = $crate::installer::Component<$installer>;

            // Elsewhere nothing calls it, but it is no dead code.
            #[cfg(not(target_arch = "wasm32"))]
            const fn is<P: $crate::installer::Installer>() {}

            #[cfg(not(target_arch = "wasm32"))]
            is::<$installer>();

            #[cfg(target_arch = "wasm32")]
            $crate::installer::bindings::export!(Component with_types_in $crate::installer::bindings);
        };
    };
}

#[doc(hidden)]
#[derive(Debug)]
pub struct Component<I>(PhantomData<I>);

impl<I: Installer> Guest for Component<I> {
    fn describe() -> Description {
        I::describe()
    }

    fn ask(facts: Facts, answers: Vec<Answer>) -> Vec<Question> {
        trial::ask::<I>(&facts, &answers).1
    }

    fn plan(facts: Facts, answers: Vec<Answer>) -> Result<Proposal, String> {
        trial::plan::<I>(&facts, &answers)
    }

    fn check(facts: Facts) -> Vec<Finding> {
        I::check(&facts)
    }
}
