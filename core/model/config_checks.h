// Steps that both readers of hyper-parameters share.
#pragma once

#include "core/model/config.h"

namespace gemlet {

/// Fills kv_donor and owns_kv from n_owning_layers and checks every number against the others and
/// against sane limits, so that later arithmetic on shapes cannot overflow.
Status finish_config(ModelConfig& config);

}  // namespace gemlet
