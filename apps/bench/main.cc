// SPDX-License-Identifier: Apache-2.0
#include <functional>

#include "apps/bench/options.h"
#include "lib/index/registry.h"
#include "lib/store/vectors.h"

namespace {

// A subcommand with its options and what runs it.
template <class Options>
CLI::App* subcommand(CLI::App& app, const char* name, const char* help, Options& options) {
  CLI::App* sub = app.add_subcommand(name, help);
  ra::bench_app::bind(*sub, options);
  return sub;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace ra::bench_app;
  ra::store::note_libraries();
  ra::index::note_libraries();
  CLI::App app(
      "Decode latency and quality of RetrievalAttention and its rivals: end to end, attention "
      "alone, and the comparison of two results.",
      "ra-bench");
  ra::cli::CommonOptions common;
  ra::cli::bind_common(app, common);
  app.require_subcommand(1);
  DecodeOptions decode;
  QualityOptions quality;
  AttentionOptions attention;
  CompareOptions compare;
  const CLI::App* decode_app = subcommand(
      app, "decode", "Token by token on a real model, every mode over one prefill", decode);
  const CLI::App* quality_app = subcommand(
      app, "quality", "Losses and hidden facts found, every mode beside full attention", quality);
  const CLI::App* attention_app =
      subcommand(app, "attention", "The same modes on a dump, without a model", attention);
  subcommand(app, "compare",
             "Two result files: exit 0 no regression, 1 regression, 3 inconclusive; or convert one",
             compare);
  return ra::cli::run(app, common, argc, argv, [&] {
    if (decode_app->parsed()) return run_decode(decode, common);
    if (quality_app->parsed()) return run_quality(quality, common);
    if (attention_app->parsed()) return run_attention(attention, common);
    return run_compare(compare, common);
  });
}
