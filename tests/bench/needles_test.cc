// SPDX-License-Identifier: Apache-2.0
#include "lib/bench/needles.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "lib/core/error.h"

namespace ra::bench {
namespace {

const std::vector<double> kDepths{0.9, 0.1, 0.5};
const std::vector<std::string> kAll{"single", "passkey", "kv", "multi", "queries", "vt"};

std::vector<std::string> texts(const NeedleSet& set) {
  std::vector<std::string> out;
  for (const Needle& n : set.needles) out.push_back(n.text);
  for (const NeedleQuestion& q : set.questions) {
    out.push_back(q.question + q.answer_start);
    for (const auto& v : q.values) out.push_back(v.text);
  }
  return out;
}

TEST(Needles, TheSeedDecides) {
  const auto first = texts(make_needles(kAll, 4, kDepths, 7));
  EXPECT_EQ(first, texts(make_needles(kAll, 4, kDepths, 7)));
  EXPECT_NE(first, texts(make_needles(kAll, 4, kDepths, 8)));
}

TEST(Needles, EachTaskAsksAsOftenAsItWasTold) {
  const NeedleSet set = make_needles(kAll, kMostNeedles, kDepths, 1);
  for (const std::string& task : kAll)
    EXPECT_EQ(std::ranges::count(set.questions, task, &NeedleQuestion::task),
              task == "passkey" ? 1 : kMostNeedles)
        << task;
  // Several values at once only where every depth has one.
  for (const NeedleQuestion& q : set.questions)
    EXPECT_EQ(q.values.size(),
              q.task == "multi" || q.task == "queries" || q.task == "vt" ? kDepths.size() : 1)
        << q.task;
}

TEST(Needles, NoQuestionAndNoValueTwice) {
  const NeedleSet set = make_needles(kAll, kMostNeedles, kDepths, 3);
  std::set<std::string> questions, values;
  std::size_t n = 0;
  for (const NeedleQuestion& q : set.questions) {
    EXPECT_TRUE(questions.insert(q.question).second) << q.question;
    for (const auto& v : q.values) {
      EXPECT_TRUE(values.insert(v.text).second) << v.text;
      ++n;
    }
  }
  EXPECT_EQ(values.size(), n);
}

TEST(Needles, AValueStandsAtItsDepthAndNowhereElse) {
  const NeedleSet set = make_needles(kAll, 5, kDepths, 5);
  EXPECT_TRUE(std::ranges::is_sorted(set.needles, {}, &Needle::depth));
  for (const NeedleQuestion& q : set.questions)
    for (std::size_t i = 0; i < q.values.size(); ++i) {
      for (const Needle& needle : set.needles) {
        const bool here = needle.text.find(q.values[i].text) != std::string::npos;
        // A variable is named a second time where the next one takes its value.
        const bool next = q.task == "vt" && i + 1 < q.values.size() &&
                          needle.depth == q.values[i + 1].depth &&
                          needle.text.find(q.values[i + 1].text) != std::string::npos;
        if (here && !next) {
          EXPECT_EQ(needle.depth, q.values[i].depth) << needle.text;
        }
      }
      EXPECT_TRUE(std::ranges::any_of(set.needles, [&](const Needle& needle) {
        return needle.depth == q.values[i].depth &&
               needle.text.find(q.values[i].text) != std::string::npos;
      })) << q.values[i].text;
    }
}

TEST(Needles, ANumberIsToldBesideTheNameThatIsAskedFor) {
  const NeedleSet set = make_needles({"single", "kv"}, 8, kDepths, 11);
  for (const NeedleQuestion& q : set.questions) {
    const std::string fact = q.answer_start + " " + q.values.front().text + ".";
    EXPECT_EQ(
        std::ranges::count_if(
            set.needles, [&](const Needle& n) { return n.text.find(fact) != std::string::npos; }),
        1)
        << fact;
  }
}

TEST(Needles, KeysOfABlockDifferInOneDigit) {
  const NeedleSet set = make_needles({"kv"}, 6, {0.5}, 2);
  for (const Needle& needle : set.needles) {
    std::vector<std::string> keys;
    for (std::size_t at = needle.text.find("Entry "); at != std::string::npos;
         at = needle.text.find("Entry ", at + 1))
      keys.push_back(needle.text.substr(at + 6, 5));
    ASSERT_EQ(keys.size(), 6u);
    // One of them is a single digit away from all others.
    EXPECT_TRUE(std::ranges::any_of(keys, [&](const std::string& base) {
      return std::ranges::all_of(keys, [&](const std::string& key) {
        int differ = 0;
        for (std::size_t i = 0; i < key.size(); ++i) differ += key[i] != base[i];
        return differ == (&key == &base ? 0 : 1);
      });
    })) << needle.text;
  }
}

TEST(Needles, SeveralKeysAreAskedInOneQuestionAndOthersAreLikeThem) {
  const NeedleSet set = make_needles({"queries"}, 2, kDepths, 9);
  ASSERT_EQ(set.needles.size(), 6u);
  for (const NeedleQuestion& q : set.questions) {
    const std::string person = q.question.substr(q.question.find(" of ") + 4, 5);
    for (const auto& value : q.values) {
      const auto needle = std::ranges::find_if(set.needles, [&](const Needle& n) {
        return n.text.find(value.text) != std::string::npos;
      });
      ASSERT_NE(needle, set.needles.end());
      const std::size_t in = needle->text.find(" in ") + 4;
      const std::string place = needle->text.substr(in, needle->text.find(" has ") - in);
      EXPECT_NE(q.question.find(place), std::string::npos) << place;
      EXPECT_NE(needle->text.find("\nThe locker of " + person), std::string::npos);
    }
  }
}

TEST(Needles, AChainOfVariablesLeadsToItsValue) {
  const NeedleSet set = make_needles({"vt"}, 1, kDepths, 4);
  const NeedleQuestion& q = set.questions.front();
  ASSERT_EQ(set.needles.size(), 3u);
  const std::string number = q.question.substr(q.question.find_first_of("0123456789"), 7);
  EXPECT_EQ(set.needles[0].text, "\nLet variable " + q.values[0].text + " be " + number + ".\n");
  for (std::size_t i = 1; i < 3; ++i)
    EXPECT_EQ(set.needles[i].text, "\nLet variable " + q.values[i].text + " be equal to variable " +
                                       q.values[i - 1].text + ".\n");
}

TEST(Needles, RefusesWhatItCannotDo) {
  const auto refused = [](const std::vector<std::string>& tasks, int count,
                          const std::vector<double>& depths, const char* where, const char* say) {
    try {
      make_needles(tasks, count, depths, 1);
      ADD_FAILURE() << "accepted";
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), Exit::kUsage);
      EXPECT_EQ(e.text().where, where);
      EXPECT_NE(std::string(e.what()).find(say), std::string::npos) << e.what();
    }
  };
  refused({"single", "hay"}, 1, {0.5}, "--task", "known: single, passkey, kv, multi, queries, vt");
  refused({"single"}, 0, {0.5}, "--needle", "1..32");
  refused({"single"}, kMostNeedles + 1, {0.5}, "--needle", "33");
  refused({"single"}, 1, {}, "--depths", "no depth");
  refused({"single"}, 1, {0.5, 1.01}, "--depths", "1.01");
  refused({"single"}, 1, {-0.1}, "--depths", "-0.1");
  refused({"single"}, 1, {std::nan("")}, "--depths", "nan");
}

NeedleQuestion two_values() {
  return {"multi", "?", "They are", {{"1234567", 0.1}, {"7654321", 0.9}}};
}

TEST(Answers, ValuesAreFoundAsWholeWords) {
  const auto found = [](const char* answer) { return values_found(two_values(), answer); };
  using Found = std::vector<bool>;
  EXPECT_EQ(found(" 7654321 and 1234567."), (Found{true, true}));
  EXPECT_EQ(found(" 1234567"), (Found{true, false}));
  EXPECT_EQ(found(" 12345678, 07654321"), (Found{false, false}));
  EXPECT_EQ(found(" 12345671234567 (1234567)"), (Found{true, false}));
  EXPECT_EQ(found(""), (Found{false, false}));
}

TEST(Answers, AreDecidedOnceNothingMoreCanCome) {
  const NeedleQuestion one{"single", "?", "It is", {{"1234567", 0.5}}};
  EXPECT_FALSE(is_decided(one, ""));
  EXPECT_FALSE(is_decided(one, " 1234567"));  // a further digit would make it another number
  EXPECT_TRUE(is_decided(one, " 1234567."));
  EXPECT_FALSE(is_decided(one, "\n 999"));
  EXPECT_TRUE(is_decided(one, "\n 999\n"));
  EXPECT_FALSE(is_decided(two_values(), " 1234567,\n"));  // may be a list
  EXPECT_TRUE(is_decided(two_values(), " 1234567,\n7654321\n"));
}

}  // namespace
}  // namespace ra::bench
