// Files in the wild carry older versions of the templates; the published ones are better prompts.
#include "frontends/cli/template_note.h"

#include <cstdio>
#include <string>

namespace gemlet {

void note_template(const chat::TemplateChoice& choice) {
    if (choice.match != chat::TemplateMatch::unlike) return;
    std::fprintf(stderr,
                 "gemlet: note: the model's chat template is an older or foreign one; the "
                 "published one (%s) is used\n",
                 std::string(chat::template_kind_name(choice.kind)).c_str());
}

}  // namespace gemlet
