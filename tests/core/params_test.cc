// SPDX-License-Identifier: Apache-2.0
#include "lib/core/params.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "lib/core/error.h"

namespace ra {
namespace {

// The message of the usage error that `act` ends in, or "accepted".
std::string refusal(const std::function<void()>& act) {
  try {
    act();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Exit::kUsage);
    return e.what();
  }
  return "accepted";
}

std::vector<std::string> texts(std::string_view specs) {
  std::vector<std::string> out;
  for (const Spec& s : parse_specs(specs)) out.push_back(s.text());
  return out;
}

using Texts = std::vector<std::string>;

TEST(Params, ParsesSpecs) {
  EXPECT_EQ(texts("flat"), Texts{"flat"});
  EXPECT_EQ(texts("roar:m=32,metric=query"), Texts{"roar:m=32,metric=query"});
  EXPECT_EQ(texts("roar:metric=query,m=32"), Texts{"roar:m=32,metric=query"});  // canonical order
  EXPECT_EQ(texts("flat,ivf:lists=64,probes=1/4,hnsw"),
            (Texts{"flat", "ivf:lists=64,probes=1/4", "hnsw"}));
  EXPECT_EQ(texts("ivf:lists=64;hnsw:m=16,ef=50;flat"),
            (Texts{"ivf:lists=64", "hnsw:ef=50,m=16", "flat"}));
  EXPECT_EQ(texts("a:x=1,b:y=2"), (Texts{"a:x=1", "b:y=2"}));
  EXPECT_EQ(texts("a:x=p:q"), Texts{"a:x=p:q"});  // a value may hold ':'
}

TEST(Params, RefusesMalformedSpecs) {
  for (const char* text : {"", ";", "flat;", "flat,", ":m=1", "m=1", "flat;m=1", "a:", "a:m",
                           "a:m,n=1", "a:m=", "a:=1", "a:m=1,m=2", "a:m=1,,n=2"})
    EXPECT_NE(refusal([&] { parse_specs(text); }), "accepted") << '"' << text << '"';
}

constexpr ParamInfo kTable[] = {
    {.key = "m", .kind = "int", .default_value = "16", .min = 2, .max = 64},
    {.key = "eps", .kind = "float", .default_value = "0.5", .min = 0, .max = 1},
    {.key = "metric", .kind = "raw|query", .default_value = "raw"},
    {.key = "probes", .kind = "int", .default_value = "1/4", .min = 1, .max = 100, .search = true},
};

Spec spec(std::string_view text) { return parse_specs(text).front(); }

TEST(Params, ReadsDefaultsAndValues) {
  const Spec none = spec("x"), all = spec("x:m=2,eps=1e-3,metric=query,probes=1/16/100");
  const ParamReader d(none, kTable), p(all, kTable);
  EXPECT_EQ(d.integer("m"), 16);
  EXPECT_EQ(d.number("eps"), 0.5);
  EXPECT_EQ(d.choice("metric"), "raw");
  EXPECT_EQ(d.integers("probes"), (std::vector<std::int64_t>{1, 4}));
  EXPECT_FALSE(d.given("m"));
  EXPECT_EQ(p.integer("m"), 2);
  EXPECT_EQ(p.number("eps"), 1e-3);
  EXPECT_EQ(p.choice("metric"), "query");
  EXPECT_EQ(p.integers("probes"), (std::vector<std::int64_t>{1, 16, 100}));
  EXPECT_TRUE(p.given("m"));
}

TEST(Params, RefusesUnknownKeysAndNamesTheKnownOnes) {
  const Spec s = spec("x:n=1");
  const std::string text = refusal([&] { ParamReader(s, kTable); });
  EXPECT_NE(text.find("unknown key 'n'"), std::string::npos) << text;
  EXPECT_NE(text.find("m, eps, metric, probes"), std::string::npos) << text;
  EXPECT_NE(refusal([&] { ParamReader(s, {}); }).find("it takes no keys"), std::string::npos);
}

TEST(Params, RefusesBadValues) {
  const auto integer = [](const char* text) {
    return refusal([&] {
      const Spec s = spec(text);
      (void)ParamReader(s, kTable).integer("m");
    });
  };
  for (const char* text : {"x:m=1", "x:m=65", "x:m=-4", "x:m=4.0", "x:m=+4", "x:m=0x4", "x:m= 4",
                           "x:m=4 ", "x:m=99999999999999999999", "x:m=2/4", "x:m=/", "x:m=2/"})
    EXPECT_NE(integer(text), "accepted") << text;
  EXPECT_NE(integer("x:m=65").find("an integer 2..64"), std::string::npos);
  for (const char* text : {"x:eps=1.01", "x:eps=-1", "x:eps=nan", "x:eps=inf", "x:eps=a"})
    EXPECT_NE(refusal([&] {
                const Spec s = spec(text);
                (void)ParamReader(s, kTable).number("eps");
              }),
              "accepted")
        << text;
  const std::string choice = refusal([&] {
    const Spec s = spec("x:metric=cosine");
    (void)ParamReader(s, kTable).choice("metric");
  });
  EXPECT_NE(choice.find("one of raw|query"), std::string::npos) << choice;
}

TEST(ParamsDeathTest, AskingForAKeyOutsideTheTableIsABug) {
  const Spec s = spec("x");
  EXPECT_DEATH((void)ParamReader(s, kTable).integer("nope"), "RA_CHECK");
}

TEST(Params, Lists) {
  using Ints = std::vector<int>;
  EXPECT_EQ(parse_list("0,3,8-11", 12, "--layers"), (Ints{0, 3, 8, 9, 10, 11}));
  EXPECT_EQ(parse_list("3,1,2-3", 4, "--layers"), (Ints{1, 2, 3}));
  EXPECT_EQ(parse_list("", 3, "--layers"), (Ints{0, 1, 2}));
  EXPECT_EQ(parse_list("2-2", 3, "--layers"), Ints{2});
  for (const char* text : {"3", "0-3", "-1", "2-1", "a", "1,", ",1", "1-", "-", "1-2-3", " 1", "1 ",
                           "99999999999", "0--1"})
    EXPECT_NE(refusal([&] { parse_list(text, 3, "--layers"); }).find("--layers"), std::string::npos)
        << text;
}

TEST(Params, Bytes) {
  EXPECT_EQ(parse_bytes("0", "--memory-limit"), 0u);
  EXPECT_EQ(parse_bytes("4096", "--memory-limit"), 4096u);
  EXPECT_EQ(parse_bytes("16KiB", "--memory-limit"), 16384u);
  EXPECT_EQ(parse_bytes("3MiB", "--memory-limit"), 3u << 20);
  EXPECT_EQ(parse_bytes("2GiB", "--memory-limit"), 2ull << 30);
  EXPECT_EQ(parse_bytes("18446744073709551615", "--memory-limit"), UINT64_MAX);
  for (const char* text : {"", "KiB", "-1", "1.5GiB", "1kb", "1 GiB", "1GiBGiB", "1KiBMiB",
                           "18446744073709551616", "17179869184GiB"})
    EXPECT_NE(refusal([&] { parse_bytes(text, "--memory-limit"); }).find("--memory-limit"),
              std::string::npos)
        << text;
}

}  // namespace
}  // namespace ra
