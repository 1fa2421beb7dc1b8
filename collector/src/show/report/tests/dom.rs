//! A page parsed into a flat list of its elements, for the tests.

use html5ever::tendril::TendrilSink;
use html5ever::{ParseOpts, parse_document};
use markup5ever_rcdom::{Handle, NodeData, RcDom};

/// One element.
#[derive(Debug)]
pub(super) struct Element {
    pub name: String,
    pub attributes: Vec<(String, String)>,
    /// All text in it.
    pub text: String,
    /// Its own text, without that of its children.
    pub own: String,
}

impl Element {
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }
}

/// A page.
#[derive(Debug, Default)]
pub(super) struct Dom {
    /// In the order of the page.
    pub elements: Vec<Element>,
    /// The visible text.
    pub text: String,
    /// Errors that a browser would correct.
    pub errors: Vec<String>,
    /// Depth of nested elements.
    pub depth: usize,
}

impl Dom {
    pub fn read(page: &str) -> Dom {
        let mut options = ParseOpts::default();
        options.tokenizer.exact_errors = true;
        let tree: RcDom = parse_document(RcDom::default(), options).one(page);
        let mut dom = Dom { errors: tree.errors.borrow().iter().map(ToString::to_string).collect(), ..Dom::default() };
        dom.walk(&tree.document, 0);
        dom
    }

    pub fn with(&self, attribute: &str, value: &str) -> Option<&Element> {
        self.elements.iter().find(|element| element.attribute(attribute) == Some(value))
    }

    /// The elements without the boxes around invisible characters.
    pub fn shape(&self) -> Vec<(&str, Option<&str>)> {
        let all = self.elements.iter().map(|element| (element.name.as_str(), element.attribute("class")));
        all.filter(|(_, class)| *class != Some("char")).collect()
    }

    fn walk(&mut self, node: &Handle, depth: usize) {
        self.depth = self.depth.max(depth);
        let index = self.elements.len();
        if let NodeData::Element { name, attrs, .. } = &node.data {
            let attributes = attrs.borrow().iter().map(|own| (own.name.local.to_string(), own.value.to_string())).collect();
            let name = name.local.to_string();
            self.elements.push(Element { name, attributes, text: String::new(), own: String::new() });
        }
        let start = self.text.len();
        for child in node.children.borrow().iter() {
            match &child.data {
                NodeData::Text { contents } => {
                    self.text.push_str(&contents.borrow());
                    if let Some(element) = self.elements.get_mut(index) {
                        element.own.push_str(&contents.borrow());
                    }
                }
                NodeData::Comment { .. } => self.errors.push("a comment".to_owned()),
                _ => self.walk(child, depth + 1),
            }
        }
        if let Some(element) = self.elements.get_mut(index) {
            element.text = self.text.split_off(start);
            // Text in the head is invisible.
            let unseen = ["style", "title"].contains(&element.name.as_str());
            let seen = if unseen { String::new() } else { element.text.clone() };
            self.text.push_str(&seen);
        }
    }
}
