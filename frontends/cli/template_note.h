// The one warning about a model's own chat template.
#pragma once

#include "frontends/text/chat/template_kind.h"

namespace gemlet {

/// Says on stderr that the model carries a template unlike both published ones, if it does.
void note_template(const chat::TemplateChoice& choice);

}  // namespace gemlet
