// SPDX-License-Identifier: Apache-2.0
#include "lib/bench/needles.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "lib/core/error.h"
#include "lib/core/rng.h"

namespace ra::bench {
namespace {

constexpr std::string_view kPlaces[kMostNeedles] = {
    "Oslo",   "Lima",     "Nairobi", "Kyoto",   "Lisbon",  "Denver",  "Cairo",   "Quito",
    "Hanoi",  "Dublin",   "Athens",  "Riga",    "Bogota",  "Sydney",  "Toronto", "Vienna",
    "Havana", "Helsinki", "Jakarta", "Kampala", "London",  "Madrid",  "Munich",  "Naples",
    "Ottawa", "Prague",   "Rabat",   "Santos",  "Tallinn", "Utrecht", "Warsaw",  "Zagreb"};
constexpr std::string_view kPeople[kMostNeedles] = {
    "Alice", "Boris", "Clara",  "David", "Elena",  "Felix",  "Greta",  "Henry",
    "Irene", "Jonas", "Karen",  "Louis", "Maria",  "Nadia",  "Oscar",  "Paula",
    "Quinn", "Rosa",  "Simon",  "Tanya", "Ursula", "Victor", "Wanda",  "Xavier",
    "Yusuf", "Zoe",   "Martha", "Peter", "Rachel", "Stefan", "Teresa", "Walter"};

class Generator {
 public:
  Generator(const std::vector<double>& depths, std::uint64_t seed)
      : depths_(depths), rng_(seed, 0x4eed1e) {
    for (auto* names : {&places_, &people_})
      for (std::size_t i = names->size(); i > 1; --i)
        std::swap((*names)[i - 1], (*names)[rng_.below(i)]);
  }

  // The i-th question of each task, and what it asks for.
  void single(int i) {
    const std::string_view place = places_[static_cast<std::size_t>(i)];
    const std::string number = fresh_number();
    hide(depth(i), fmt::format("The special number of {} is {}.", place, number));
    ask({"single",
         fmt::format("What is the special number of {}?", place),
         fmt::format("The special number of {} is", place),
         {{number, depth(i)}}});
  }

  void passkey(int i) {
    if (i > 0) return;
    const std::string number = fresh_number();
    const double middle = depths_[depths_.size() / 2];
    hide(middle, fmt::format("The pass key is {0}. Remember it: {0} is the pass key.", number));
    ask({"passkey", "What is the pass key?", "The pass key is", {{number, middle}}});
  }

  void key_value(int i) {
    constexpr std::size_t kLines = 6;
    std::vector<std::string> keys{fresh_key()};
    while (keys.size() < kLines) {
      std::string key = keys.front();
      key[rng_.below(key.size())] = digit();
      if (used_.insert("entry " + key).second) keys.push_back(key);
    }
    std::swap(keys.front(), keys[rng_.below(kLines)]);
    const std::size_t asked = rng_.below(kLines);
    std::string lines;
    for (std::size_t line = 0; line < kLines; ++line) {
      const std::string number = fresh_number();
      lines +=
          fmt::format("{}Entry {} has the number {}.", line > 0 ? "\n" : "", keys[line], number);
      if (line == asked)
        ask({"kv",
             fmt::format("Which number does entry {} have?", keys[line]),
             fmt::format("Entry {} has the number", keys[line]),
             {{number, depth(i)}}});
    }
    hide(depth(i), lines);
  }

  void multi(int i) {
    const std::string_view person = people_[static_cast<std::size_t>(i)];
    std::vector<NeedleQuestion::Value> values;
    for (const double d : depths_) {
      values.push_back({fresh_number(), d});
      hide(d, fmt::format("One of the lucky numbers of {} is {}.", person, values.back().text));
    }
    ask({"multi", fmt::format("What are all the lucky numbers of {}?", person),
         fmt::format("The lucky numbers of {} are", person), std::move(values)});
  }

  // Several keys in one question, among others like them.
  void queries(int i) {
    const std::string_view person = people_[static_cast<std::size_t>(i)];
    std::vector<NeedleQuestion::Value> values;
    std::string asked;
    const std::size_t n = std::min<std::size_t>(depths_.size(), kMostNeedles);
    for (std::size_t d = 0; d < n; ++d) {
      const std::string_view place = places_[(static_cast<std::size_t>(i) + d) % kMostNeedles];
      values.push_back({fresh_number(), depths_[d]});
      hide(depths_[d], fmt::format("The locker of {} in {} has the number {}.", person, place,
                                   values.back().text));
      asked += fmt::format("{}{}", d == 0 ? "" : d + 1 == n ? " and " : ", ", place);
    }
    ask({"queries", fmt::format("Which numbers have the lockers of {} in {}?", person, asked),
         fmt::format("The lockers of {} in {} have the numbers", person, asked),
         std::move(values)});
  }

  void variables(int) {
    const std::string number = fresh_number();
    std::vector<NeedleQuestion::Value> names;
    for (const double d : depths_) {
      const std::string name = fresh_name();
      hide(d, names.empty() ? fmt::format("Let variable {} be {}.", name, number)
                            : fmt::format("Let variable {} be equal to variable {}.", name,
                                          names.back().text));
      names.push_back({name, d});
    }
    ask({"vt", fmt::format("Which variables have the value {}?", number),
         fmt::format("The variables that have the value {} are", number), std::move(names)});
  }

  NeedleSet take() {
    std::stable_sort(set_.needles.begin(), set_.needles.end(),
                     [](const Needle& a, const Needle& b) { return a.depth < b.depth; });
    return std::move(set_);
  }

 private:
  double depth(int i) const { return depths_[static_cast<std::size_t>(i) % depths_.size()]; }
  void hide(double depth, const std::string& lines) {
    set_.needles.push_back({depth, "\n" + lines + "\n"});
  }
  void ask(NeedleQuestion question) { set_.questions.push_back(std::move(question)); }

  char digit() { return static_cast<char>('0' + rng_.below(10)); }
  std::string fresh_number() {
    for (;;) {
      const std::string number = std::to_string(1000000 + rng_.below(9000000));
      if (used_.insert(number).second) return number;
    }
  }
  std::string fresh_key() {
    for (;;) {
      std::string key = std::to_string(1 + rng_.below(9));
      while (key.size() < 5) key += digit();
      if (used_.insert("entry " + key).second) return key;
    }
  }
  std::string fresh_name() {
    for (;;) {
      std::string name;
      while (name.size() < 6) name += static_cast<char>('A' + rng_.below(26));
      if (used_.insert(name).second) return name;
    }
  }

  const std::vector<double>& depths_;
  Rng rng_;
  std::vector<std::string_view> places_{std::begin(kPlaces), std::end(kPlaces)};
  std::vector<std::string_view> people_{std::begin(kPeople), std::end(kPeople)};
  std::set<std::string> used_;  // numbers, names and keys
  NeedleSet set_;
};

struct TaskRow {
  NeedleTask task;
  void (Generator::*question)(int i);
};

constexpr TaskRow kRows[] = {
    {{"single", "a number for each name; one name is asked"}, &Generator::single},
    {{"passkey", "one pass key in the whole text"}, &Generator::passkey},
    {{"kv", "numbers under keys that differ in one digit; one key is asked"},
     &Generator::key_value},
    {{"multi", "a number for one name at every depth; all are asked"}, &Generator::multi},
    {{"queries", "a number for each pair of names at every depth; all of a name are asked at once"},
     &Generator::queries},
    {{"vt", "a variable at every depth, equal to the one before; all names are asked"},
     &Generator::variables},
};

bool is_word(char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
}

// The end of the first place where `word` stands alone; npos = nowhere.
std::size_t end_of_word(std::string_view word, std::string_view text) {
  for (std::size_t at = text.find(word); at != std::string_view::npos;
       at = text.find(word, at + 1)) {
    const std::size_t end = at + word.size();
    if ((at == 0 || !is_word(text[at - 1])) && (end == text.size() || !is_word(text[end])))
      return end;
  }
  return std::string_view::npos;
}

}  // namespace

std::span<const NeedleTask> needle_tasks() {
  static const std::vector<NeedleTask> tasks = [] {
    std::vector<NeedleTask> out;
    for (const TaskRow& row : kRows) out.push_back(row.task);
    return out;
  }();
  return tasks;
}

NeedleSet make_needles(const std::vector<std::string>& tasks, int count, std::vector<double> depths,
                       std::uint64_t seed) {
  if (count < 1 || count > kMostNeedles)
    fail_usage("--needle", fmt::format("{} is not in 1..{}", count, kMostNeedles));
  if (depths.empty()) fail_usage("--depths", "no depth given");
  for (const double depth : depths)
    if (!(depth >= 0 && depth <= 1))
      fail_usage("--depths", fmt::format("{} is not in 0..1", depth),
                 "0 is the beginning of the text, 1 its end");
  std::sort(depths.begin(), depths.end());
  Generator generator(depths, seed);
  for (const std::string& task : tasks) {
    const auto* row = std::find_if(std::begin(kRows), std::end(kRows),
                                   [&](const TaskRow& r) { return r.task.name == task; });
    if (row == std::end(kRows)) {
      std::string known;
      for (const TaskRow& r : kRows)
        known += fmt::format("{}{}", known.empty() ? "" : ", ", r.task.name);
      fail_usage("--task", fmt::format("unknown task '{}'", task), "known: " + known);
    }
    for (int i = 0; i < count; ++i) (generator.*row->question)(i);
  }
  return generator.take();
}

std::vector<bool> values_found(const NeedleQuestion& question, std::string_view answer) {
  std::vector<bool> found;
  for (const auto& value : question.values)
    found.push_back(end_of_word(value.text, answer) != std::string_view::npos);
  return found;
}

bool is_decided(const NeedleQuestion& question, std::string_view answer) {
  const std::size_t first = answer.find_first_not_of(" \n");
  if (first == std::string_view::npos) return false;
  if (question.values.size() == 1 && answer.find('\n', first) != std::string_view::npos)
    return true;
  return std::all_of(question.values.begin(), question.values.end(), [&](const auto& value) {
    const std::size_t end = end_of_word(value.text, answer);
    return end != std::string_view::npos && end < answer.size();
  });
}

}  // namespace ra::bench
