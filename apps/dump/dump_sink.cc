// SPDX-License-Identifier: Apache-2.0
#include "apps/dump/dump_sink.h"

#include <utility>

namespace ra::dump_app {

DumpSink::DumpSink(store::DumpWriter& writer, AfterLayer after_layer)
    : writer_(writer), after_layer_(std::move(after_layer)) {}

void DumpSink::on_qkv(const model::QkvView& view) {
  writer_.append(view.layer, view.pos, view.q, view.k, view.v);
  after_layer_(view);
}

}  // namespace ra::dump_app
