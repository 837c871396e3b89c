// SPDX-License-Identifier: Apache-2.0
#include "lib/attention/training.h"

namespace ra::attention {

HeldTraining::HeldTraining(const TrainingOf& of, int layer, int first_head, int heads,
                           std::int64_t begin, std::int64_t end) {
  for (int h = first_head; of && h < first_head + heads; ++h)
    sets.push_back(of(layer, h, begin, end));
  for (const Training& t : sets)
    if (t.rows.rows() > 0 || t.moment.rows() > 0) views.push_back({t.rows.view(), t.moment.view()});
}

}  // namespace ra::attention
