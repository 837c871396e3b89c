// SPDX-License-Identifier: Apache-2.0
// Joins the decoder to the dump: every layer's Q, K and V after RoPE go to the writer.
#pragma once

#include <functional>

#include "lib/model/qkv_sink.h"
#include "lib/store/vectors.h"

namespace ra::dump_app {

class DumpSink final : public model::QkvSink {
 public:
  // `after_layer` is told what was just stored; it may throw to end the run.
  using AfterLayer = std::function<void(const model::QkvView&)>;
  DumpSink(store::DumpWriter& writer, AfterLayer after_layer);
  void on_qkv(const model::QkvView& view) override;

 private:
  store::DumpWriter& writer_;
  AfterLayer after_layer_;
};

}  // namespace ra::dump_app
