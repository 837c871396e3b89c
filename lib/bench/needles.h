// SPDX-License-Identifier: Apache-2.0
// Needles in a haystack: facts to hide in a long text, and questions about them whose answers stand
// nowhere else. The tasks follow RULER (Hsieh et al., arXiv 2404.06654, section 3), the pass key
// Mohtashami and Jaggi (arXiv 2305.16300); the wording is our own. All questions of a set are about
// one text, so one prefill serves them all, and each task is a distraction for the others.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ra::bench {

struct NeedleTask {
  std::string_view name, help;
};
std::span<const NeedleTask> needle_tasks();

// Lines to hide: they begin and end with a line break.
struct Needle {
  double depth = 0;  // where: 0 = at the beginning of the text, 1 = at its end
  std::string text;
};

struct NeedleQuestion {
  std::string task;
  std::string question;      // a whole sentence
  std::string answer_start;  // the words that a correct answer goes on from with the values
  struct Value {
    std::string text;  // a number of seven digits, or a name of six capitals
    double depth = 0;  // of the needle that tells it
  };
  std::vector<Value> values;
};

struct NeedleSet {
  std::vector<Needle> needles;  // by ascending depth
  std::vector<NeedleQuestion> questions;
};

inline constexpr int kMostNeedles = 32;

// `count` (1..kMostNeedles) questions for each of `tasks`; one for the pass key, of which a text
// can hold only one, at the middle one of `depths`. Tasks that hide one fact per question take the
// depths in turn, the others hide one fact at every depth. The seed decides names and values; no
// value is given twice. Throws Error{kUsage} for an unknown task, a depth outside 0..1 or none, and
// for a count out of range.
NeedleSet make_needles(const std::vector<std::string>& tasks, int count, std::vector<double> depths,
                       std::uint64_t seed);

// For each value of the question: does it stand in the answer, as a whole word?
std::vector<bool> values_found(const NeedleQuestion& question, std::string_view answer);
// Nothing that follows `answer` can change what values_found says, or is worth waiting for: all
// values are there and another word has begun, or a question for one value got a whole line.
bool is_decided(const NeedleQuestion& question, std::string_view answer);

}  // namespace ra::bench
