//! What a page offers to use, by the names that screen readers tell, and the keyboard.

use serde_json::{Value, json};

use super::Page;
use super::session::Element;

/// Roles of what is clicked; a `summary` is a `DisclosureTriangle` to Chromium.
const CLICKED: [&str; 9] =
    ["button", "link", "DisclosureTriangle", "checkbox", "radio", "switch", "tab", "menuitem", "option"];

/// Roles of what is typed into.
const FILLED: [&str; 4] = ["textbox", "searchbox", "spinbutton", "combobox"];

/// Roles of what offers a choice.
const CHOSEN: [&str; 2] = ["combobox", "listbox"];

impl Page {
    /// Clicks the one button, link, summary, checkbox, radio button or tab of this name.
    pub(crate) async fn click(&self, label: &str) {
        self.click_in("html", label).await;
    }

    /// The same within the first element that a CSS selector finds, where several are named alike.
    pub(crate) async fn click_in(&self, css: &str, label: &str) {
        self.patiently(&format!("{label:?} should be clicked"), async || {
            let control = self.control(css, &CLICKED, label).await?;
            self.session.click(&control).await.map_err(|refused| refused.to_string())
        })
        .await;
    }

    /// Types into the one field with this label, in place of what is there.
    pub(crate) async fn fill(&self, label: &str, text: &str) {
        self.patiently(&format!("the field {label:?} should be filled"), async || {
            let field = self.control("html", &FILLED, label).await?;
            self.session.fill(&field, text).await.map_err(|refused| refused.to_string())
        })
        .await;
    }

    /// Chooses an option, as it reads, of the one list with this label.
    pub(crate) async fn choose(&self, label: &str, option: &str) {
        let find = "return [...arguments[0].options].find(o => o.label.trim() === arguments[1])";
        self.patiently(&format!("{option:?} of {label:?} should be chosen"), async || {
            let list = self.control("html", &CHOSEN, label).await?;
            let arguments = [list.argument(), json!(option)];
            let option =
                self.session.element(find, &arguments).await.map_err(|refused| refused.to_string())?;
            self.session.click(&option).await.map_err(|refused| refused.to_string())
        })
        .await;
    }

    /// Presses keys one after the other where the focus is: `Tab Tab Shift+Tab Enter a`.
    pub(crate) async fn press(&self, keys: &str) {
        for chord in keys.split_whitespace() {
            let keys: Vec<char> = chord.split('+').map(key).collect();
            self.session.chord(&keys).await.unwrap_or_else(|refused| panic!("pressing {chord}: {refused}"));
        }
    }

    /// Types text where the focus is.
    pub(crate) async fn type_in(&self, text: &str) {
        for key in text.chars() {
            self.session.chord(&[key]).await.unwrap_or_else(|refused| panic!("typing {key:?}: {refused}"));
        }
    }

    /// What has the focus: its tag and its name, as in `button "Flip"`; `body ""` where nothing has.
    pub(crate) async fn focused(&self) -> String {
        let active = self.session.active().await.unwrap_or_else(|refused| panic!("the focus: {refused}"));
        let described = self.session.describe(&active).await;
        let (tag, name) = described.unwrap_or_else(|refused| panic!("the focus: {refused}"));
        if tag == "body" { r#"body """#.to_owned() } else { format!("{tag} {name:?}") }
    }

    /// For messages: all that can be clicked or filled, as `role "name"`.
    pub(super) async fn offers(&self) -> Vec<String> {
        let nodes = self.accessible("html", &json!({})).await.unwrap_or_default();
        let roles = || CLICKED.iter().chain(&FILLED).chain(&CHOSEN);
        let offered = nodes.iter().filter(|node| roles().any(|role| node["role"]["value"] == *role));
        let offered = offered.map(|node| (&node["role"]["value"], &node["name"]["value"]));
        offered.map(|(role, name)| format!("{} {name}", role.as_str().unwrap_or_default())).collect()
    }

    /// The one control of this name with one of these roles.
    async fn control(&self, css: &str, roles: &[&str], name: &str) -> Result<Element, String> {
        let mut nodes = self.accessible(css, &json!({"accessibleName": name})).await?;
        nodes.retain(|node| roles.iter().any(|role| node["role"]["value"] == *role));
        let [node] = &nodes[..] else {
            return Err(format!("there are {} of that name with a role of {roles:?}", nodes.len()));
        };
        // From Chromium's protocol to WebDriver's by way of the page: they name elements differently.
        let node = json!({"backendNodeId": node["backendDOMNodeId"]});
        let object = self.asked("DOM.resolveNode", &node).await?["object"]["objectId"].take();
        let keep = json!({"objectId": object, "functionDeclaration": "function() { window.__found = this }"});
        self.asked("Runtime.callFunctionOn", &keep).await?;
        let take = "const found = window.__found; delete window.__found; return found";
        self.session.element(take, &[]).await.map_err(|refused| refused.to_string())
    }

    /// What screen readers are told of the first element that a CSS selector finds and of all within it.
    async fn accessible(&self, css: &str, filter: &Value) -> Result<Vec<Value>, String> {
        let find = json!({"expression": format!("document.querySelector({})", json!(css))});
        let root = self.asked("Runtime.evaluate", &find).await?["result"]["objectId"].take();
        if root.is_null() {
            return Err(format!("there is nothing that matches {css}"));
        }
        let mut wanted = filter.clone();
        wanted["objectId"] = root;
        let told = self.asked("Accessibility.queryAXTree", &wanted).await?;
        let mut nodes = told["nodes"].as_array().cloned().unwrap_or_default();
        nodes.retain(|node| node["ignored"] == false);
        Ok(nodes)
    }

    async fn asked(&self, command: &str, parameters: &Value) -> Result<Value, String> {
        self.session.devtools(command, parameters).await.map_err(|refused| refused.to_string())
    }
}

/// A key as WebDriver numbers it.
fn key(name: &str) -> char {
    match name {
        "Space" => ' ',
        "Backspace" => '\u{e003}',
        "Tab" => '\u{e004}',
        "Enter" => '\u{e007}',
        "Shift" => '\u{e008}',
        "Control" => '\u{e009}',
        "Escape" => '\u{e00c}',
        "End" => '\u{e010}',
        "Home" => '\u{e011}',
        "ArrowLeft" => '\u{e012}',
        "ArrowUp" => '\u{e013}',
        "ArrowRight" => '\u{e014}',
        "ArrowDown" => '\u{e015}',
        other => {
            let mut letters = other.chars();
            let (Some(letter), None) = (letters.next(), letters.next()) else {
                panic!("no key is named {other}")
            };
            letter
        }
    }
}
