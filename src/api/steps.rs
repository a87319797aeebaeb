//! The engine's steps, each with its place in the request's document.

use serde_json::Value;

use crate::document::{Element, Fault, Pointer};
use crate::engine::{Op, OpError};

use super::problem::Problem;
use super::refusal;

/// The steps of a change, each with its place in the request's document.
#[derive(Debug, Default)]
pub(super) struct Steps {
    /// The steps.
    ops: Vec<Op>,
    /// Where each was written.
    places: Vec<Place>,
}

/// Where the steps of a change were written.
#[derive(Debug)]
pub(super) struct Places(Vec<Place>);

/// Where a step was written.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// Index of the document among those of `/v1/changes`.
    pub(super) step: usize,
    /// The place of the step's document; the root where the request is about this step alone.
    pub(super) document: Pointer,
    /// How pointers of the engine's faults are to be read.
    pub(super) form: Form,
}

/// How the document of a step relates to the engine's view of it.
#[derive(Clone, Debug)]
pub(super) enum Form {
    /// Member by member the same.
    Plain,
    /// The settings of a pool stand here.
    Settings(Pointer),
    /// A zone's records stand here, as one text.
    Records(Pointer),
    /// A domain's name stands here, others beside it.
    Name(Pointer),
}

impl Steps {
    /// Starts with one step of a document of its own.
    pub(super) fn one(op: Op, form: Form) -> Self {
        let mut steps = Self::default();
        let place = Place {
            step: 0,
            document: Pointer::root(),
            form,
        };
        steps.push(op, place);
        steps
    }

    /// Adds a step.
    pub(super) fn push(&mut self, op: Op, place: Place) {
        self.ops.push(op);
        self.places.push(place);
    }

    /// Returns the steps.
    pub(super) fn ops(&self) -> &[Op] {
        &self.ops
    }

    /// Takes the steps and their places apart.
    pub(super) fn into_parts(self) -> (Vec<Op>, Places) {
        (self.ops, Places(self.places))
    }

    /// Returns which document each step came from.
    pub(super) fn documents(&self) -> Vec<usize> {
        self.places.iter().map(|place| place.step).collect()
    }
}

impl Places {
    /// Turns the engine's refusals into a problem with pointers into the request's document.
    pub(super) fn problem(&self, errors: Vec<OpError>) -> Problem {
        refusal::problem(errors, |op| {
            self.0.get(op).cloned().unwrap_or_else(|| Place {
                step: 0,
                document: Pointer::root(),
                form: Form::Plain,
            })
        })
    }
}

impl Place {
    /// Returns where the step as a whole stands: what people look at first.
    pub(super) fn pointer(&self) -> &Pointer {
        match &self.form {
            Form::Name(name) => name,
            Form::Plain | Form::Settings(_) | Form::Records(_) => &self.document,
        }
    }

    /// Returns a fault of the engine's as one of the request's document.
    pub(super) fn locate(&self, fault: Fault) -> Fault {
        match &self.form {
            Form::Plain => fault.below(&self.document),
            Form::Settings(_) if fault.pointer == "/pool" => fault.below(&self.document),
            Form::Settings(settings) => fault.below(settings),
            Form::Records(records) => Fault::new(records.as_str(), fault.detail),
            Form::Name(name) => Fault::new(name.as_str(), fault.detail),
        }
    }

    /// Returns the fault of naming something that does not exist.
    pub(super) fn missing(&self, kind: &str, detail: String) -> Fault {
        match (&self.form, kind) {
            (Form::Name(_), "pool") => Fault::new(self.document.member("pool").as_str(), detail),
            _ => Fault::new(self.pointer().as_str(), detail),
        }
    }
}

/// Returns an element over a whole document whose faults go to `faults`.
pub(super) fn whole<'v, 'f>(
    document: &'v Value,
    faults: &'f crate::document::Faults,
) -> Element<'v, 'f> {
    Element::new(document, Pointer::root(), faults)
}
