//! `components`: what is watched while the load runs, beside the machine and the generator, which always are; and
//! `monitor`: how often.

use crucible_core::monitor::{Component, GENERATOR_NAME, HOST_NAME, PROCESS, Target};
use crucible_core::{Diagnostics, Fields, Key, Node, NodeKind, Ns};

/// Keys at the top of a plan that are read here.
pub(crate) const TOP_KEYS: &[Key] = &[
    Key {
        name: "components",
        schema: r##"{"type": "object", "additionalProperties": {"anyOf": [{"const": "self"}, {"$ref": "#/$defs/component"}]}}"##,
        doc: "Processes to watch, by name, children included; `host` and `generator` are always watched. `self` is the generator.",
        example: "{api: {port: 8070}, database: {process: postgres}}",
    },
    Key {
        name: "monitor",
        schema: r##"{"$ref": "#/$defs/monitor"}"##,
        doc: "How components are watched.",
        example: "{every: 500ms}",
    },
];

/// Keys of a component: exactly one that says which process, and its limits.
pub(crate) const COMPONENT_KEYS: &[Key] = &[
    Key {
        name: "pid",
        schema: r##"{"type": "integer", "minimum": 1}"##,
        doc: "Number of the process.",
        example: "4711",
    },
    Key {
        name: "process",
        schema: r#"{"type": "string", "minLength": 1}"#,
        doc: "Name of the program; `*` stands for any characters. All processes of this name are one component.",
        example: "\"uvicorn*\"",
    },
    Key {
        name: "port",
        schema: r##"{"type": "integer", "minimum": 1, "maximum": 65535}"##,
        doc: "TCP port that the process listens on.",
        example: "8070",
    },
    Key {
        name: "limits",
        schema: r##"{"$ref": "#/$defs/componentLimits"}"##,
        doc: "What it may have: of something that grows all the time, reports say when that is used up.",
        example: "{memory: 512MB, descriptors: 1024}",
    },
];

/// Keys of a component's `limits`: series that can be used up.
pub(crate) const LIMIT_KEYS: &[Key] = &[
    limit_key("memory", "Resident memory.", "512MB"),
    limit_key("memory_private", "Resident memory that no other process shares.", "400MB"),
    limit_key("descriptors", "Open file descriptors.", "1024"),
    limit_key("threads", "Threads.", "200"),
    limit_key("processes", "Processes.", "50"),
];

const fn limit_key(name: &'static str, doc: &'static str, example: &'static str) -> Key {
    Key { name, schema: r##"{"type": ["string", "integer"]}"##, doc, example }
}

/// Keys of `monitor`.
pub(crate) const MONITOR_KEYS: &[Key] = &[Key {
    name: "every",
    schema: r##"{"$ref": "#/$defs/duration"}"##,
    doc: "Time from reading to reading; 1s unless given, at least 50ms.",
    example: "500ms",
}];

/// Time from reading to reading unless the plan says otherwise.
pub const MONITOR_EVERY: Ns = Ns::from_secs(1);
const EVERY_MIN: Ns = Ns::from_millis(50);
const EVERY_MAX: Ns = Ns::from_secs(60);
/// Most components: each is read every time.
const COMPONENTS_MAX: usize = 100;

/// Reads `components` and `monitor`; notes every mistake.
pub(crate) fn read(root: &Fields<'_>, diagnostics: &Diagnostics) -> (Vec<Component>, Ns) {
    let mut every = MONITOR_EVERY;
    if let Some(table) = root.table("monitor") {
        table.expect(MONITOR_KEYS);
        if let Some(given) = table.duration("every") {
            if !(EVERY_MIN..=EVERY_MAX).contains(&given) {
                table.error("every", "readings are 50ms to 60s apart", "write for example 500ms");
            }
            every = given;
        }
        table.finish();
    }
    let Some(table) = root.table("components") else { return (Vec::new(), every) };
    let mut components = Vec::new();
    for (name, at, node) in table.all() {
        let path = table.path_of(name);
        if let Some(message) = misnamed(name) {
            diagnostics.error(at, &path, message, "letters, digits, `_` and `-`, as in `api`");
        }
        let component = component(node, &path, diagnostics);
        components.extend(component.map(|(target, limits)| Component {
            name: name.to_owned(),
            target,
            limits,
        }));
    }
    if components.len() > COMPONENTS_MAX {
        root.error("components", format!("more than {COMPONENTS_MAX} components"), "watch fewer");
    }
    (components, every)
}

fn misnamed(name: &str) -> Option<String> {
    if matches!(name, HOST_NAME | GENERATOR_NAME) {
        return Some(format!("`{name}` is always watched and means something of its own"));
    }
    let plain = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    (!plain).then(|| format!("{name:?} is no name of a component"))
}

/// Limits of a component, by series.
type Limits = Vec<(&'static str, f64)>;

fn component(node: &Node, path: &str, diagnostics: &Diagnostics) -> Option<(Target, Limits)> {
    const HINT: &str = "write {port: 8070}, {process: name}, {pid: 4711} or self";
    if let NodeKind::Text(text) = &node.kind {
        if text == "self" {
            return Some((Target::Itself, Vec::new()));
        }
        diagnostics.error(node.at, path, format!("{text:?} does not say which process"), HINT);
        return None;
    }
    let fields = Fields::new(node, path, diagnostics)?;
    fields.expect(COMPONENT_KEYS);
    let pid = fields.count("pid");
    let process = fields.text("process");
    let port = fields.count("port");
    let limits = limits(&fields);
    fields.finish();
    let given = ["pid", "process", "port"].iter().filter(|key| fields.has(key)).count();
    if given != 1 {
        let message =
            if given == 0 { "nothing says which process" } else { "several keys say which process" };
        diagnostics.error(node.at, path, message, HINT);
        return None;
    }
    target(&fields, pid, port, process).map(|target| (target, limits))
}

fn target(
    fields: &Fields<'_>,
    pid: Option<u64>,
    port: Option<u64>,
    process: Option<String>,
) -> Option<Target> {
    if let Some(pid) = pid {
        let pid = u32::try_from(pid).ok().filter(|pid| (1..=1 << 22).contains(pid));
        if pid.is_none() {
            fields.error("pid", "no process has this number", "numbers go from 1 to 4194304");
        }
        return pid.map(Target::Pid);
    }
    if let Some(port) = port {
        let port = u16::try_from(port).ok().filter(|port| *port > 0);
        if port.is_none() {
            fields.error("port", "this is no TCP port", "ports go from 1 to 65535");
        }
        return port.map(Target::Port);
    }
    let process = process?;
    if process.trim_matches('*').is_empty() {
        fields.error("process", "this means every process", "write a part of its name");
        return None;
    }
    Some(Target::Name(process))
}

/// What the component may have of each series that can be used up.
fn limits(fields: &Fields<'_>) -> Limits {
    let Some(table) = fields.table("limits") else { return Vec::new() };
    table.expect(LIMIT_KEYS);
    let read = |key: &'static Key| {
        let size = PROCESS.iter().any(|series| series.name == key.name && series.unit == "bytes");
        let limit = if size { table.size(key.name) } else { table.count(key.name) };
        if limit == Some(0) {
            table.error(key.name, "a limit of nothing is always exceeded", "remove it");
        }
        limit.map(|limit| (key.name, limit as f64))
    };
    let limits = LIMIT_KEYS.iter().filter_map(read).collect();
    table.finish();
    limits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{plan, told};

    const TOP: &str = "steps: [{get: /}]\ntests: {t: {rate: 1/s, for: 5s}}\n";

    #[test]
    fn processes_are_named_in_four_ways() {
        let plan = plan(&format!(
            "{TOP}monitor: {{every: 250ms}}\n\
             components: {{api: {{port: 8070}}, db: {{process: 'post*'}}, one: {{pid: 7}}, me: self}}"
        ));
        let told: Vec<String> =
            plan.components.iter().map(|c| format!("{} {:?}", c.name, c.target)).collect();
        assert_eq!(told, ["api Port(8070)", "db Name(\"post*\")", "one Pid(7)", "me Itself"]);
        assert_eq!(plan.monitor_every, Ns::from_millis(250));
    }

    #[test]
    fn components_may_have_limits() {
        let plan = plan(&format!(
            "{TOP}components: {{api: {{port: 8070, limits: {{memory: 512MB, descriptors: 1_024}}}}}}"
        ));
        assert_eq!(plan.components[0].limits, [("memory", 512e6), ("descriptors", 1024.0)]);
    }

    #[test]
    fn what_names_no_process_is_a_mistake() {
        for (components, part) in [
            ("{host: {pid: 1}}", "always watched"),
            ("{a.b: {pid: 1}}", "no name of a component"),
            ("{a: {}}", "nothing says which process"),
            ("{a: {pid: 1, port: 2}}", "several keys"),
            ("{a: {pid: 0}}", "no process has this number"),
            ("{a: {port: 70000}}", "no TCP port"),
            ("{a: {process: '**'}}", "every process"),
            ("{a: other}", "does not say which process"),
            ("{a: {prt: 1}}", "did you mean `port`?"),
            ("{a: {pid: 1, limits: {memry: 1MB}}}", "did you mean `memory`?"),
            ("{a: {pid: 1, limits: {memory: 0B}}}", "a limit of nothing"),
            ("{a: {limits: {memory: 1MB}}}", "nothing says which process"),
        ] {
            let told = told(&format!("{TOP}components: {components}"));
            assert!(told.contains(part), "{components}: {told}");
        }
        assert!(told(&format!("{TOP}monitor: {{every: 1ms}}")).contains("50ms to 60s"));
    }
}
