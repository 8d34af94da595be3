//! Answers that were given, the last used of them, within a number of bytes.

use std::collections::HashMap;

use crate::response::Response;

/// Bytes that an answer takes beside its body and its key.
const OVERHEAD: usize = 256;

/// Answers by question.
pub struct Cache {
    most: usize,
    held: usize,
    /// Counts uses, to know which answer was used last.
    clock: u64,
    answers: HashMap<String, (Response, u64)>,
}

impl Cache {
    /// Of at most `most` bytes.
    pub fn new(most: usize) -> Cache {
        Cache { most, held: 0, clock: 0, answers: HashMap::new() }
    }

    /// The answer to a question.
    pub fn get(&mut self, key: &str) -> Option<Response> {
        self.clock += 1;
        let (answer, used) = self.answers.get_mut(key)?;
        *used = self.clock;
        Some(answer.clone())
    }

    /// Keeps an answer, if it is not too large to be kept with others.
    pub fn put(&mut self, key: String, answer: Response) {
        let size = size(&key, &answer);
        if size > self.most / 4 {
            return;
        }
        self.remove(&key);
        while self.held + size > self.most {
            let Some(oldest) = self.answers.iter().min_by_key(|(_, (_, used))| *used).map(|(key, _)| key.clone())
            else {
                return;
            };
            self.remove(&oldest);
        }
        self.clock += 1;
        self.held += size;
        self.answers.insert(key, (answer, self.clock));
    }

    fn remove(&mut self, key: &str) {
        if let Some((answer, _)) = self.answers.remove(key) {
            self.held -= size(key, &answer);
        }
    }
}

fn size(key: &str, answer: &Response) -> usize {
    key.len() + answer.body.len() + OVERHEAD
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_not_used_for_longest_goes_first_and_the_bytes_are_bounded() {
        let answer = |byte: u8| Response::new(200, "application/json", vec![byte; 1000]);
        let mut cache = Cache::new(6000);
        (0..4).for_each(|n| cache.put(n.to_string(), answer(n)));
        assert_eq!(cache.get("0"), Some(answer(0)));
        cache.put("4".to_owned(), answer(4));
        assert_eq!((cache.get("0"), cache.get("1")), (Some(answer(0)), None));
        cache.put("5".to_owned(), Response::new(200, "application/json", vec![0; 2000]));
        assert_eq!(cache.get("5"), None);
        (0..100).for_each(|n| cache.put(n.to_string(), answer(n)));
        assert!(cache.held <= 6000 && cache.answers.len() == 4, "{} {}", cache.held, cache.answers.len());
    }
}
