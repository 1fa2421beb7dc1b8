//! Line numbers of the fields of a JSON text.

/// JSON pointers such as `/wsus/0/server` with the line numbers of their keys, from 1. The text is known to be valid JSON.
pub(super) fn of_fields(text: &str) -> Vec<(String, usize)> {
    let (mut found, mut line) = (Vec::new(), 1usize);
    // The current path, with the index of an element in a list.
    let mut path: Vec<(String, Option<usize>)> = Vec::new();
    let mut last: Option<(String, usize)> = None;
    let mut chars = text.chars();
    while let Some(character) = chars.next() {
        match character {
            '\n' => line += 1,
            '"' => {
                let (start, mut content) = (line, String::new());
                while let Some(next) = chars.next() {
                    match next {
                        '"' => break,
                        '\\' => content.extend([next].into_iter().chain(chars.next())),
                        _ => content.push(next),
                    }
                }
                last = Some((content, start));
            }
            ':' => {
                if let Some((key, at)) = last.take() {
                    if let Some((name, _)) = path.last_mut() {
                        *name = key.replace('~', "~0").replace('/', "~1");
                    }
                    found.push((pointer(&path), at));
                }
            }
            '{' => path.push((String::new(), None)),
            '[' => path.push(("0".to_owned(), Some(0))),
            '}' | ']' => {
                path.pop();
            }
            ',' => {
                if let Some((name, Some(index))) = path.last_mut() {
                    *index += 1;
                    *name = index.to_string();
                }
            }
            _ => {}
        }
    }
    found
}

fn pointer(path: &[(String, Option<usize>)]) -> String {
    path.iter().fold(String::new(), |mut pointer, (name, _)| {
        pointer.push('/');
        pointer.push_str(name);
        pointer
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_in_lists_and_objects_have_their_lines() {
        let text = "{\n\"a\": [{\"b\": \"x:,{\"},\n{\"b\": 1}],\n\"c/d\":\n2}";
        let expected = [("/a", 2), ("/a/0/b", 2), ("/a/1/b", 3), ("/c~1d", 4)];
        assert_eq!(of_fields(text), expected.map(|(pointer, line)| (pointer.to_owned(), line)));
    }
}
