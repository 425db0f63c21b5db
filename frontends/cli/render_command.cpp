// gemlet render: messages to the exact prompt of the model's template, defects included.
#include "core/json.h"
#include "frontends/cli/commands.h"
#include "frontends/cli/streams.h"
#include "frontends/cli/template_note.h"
#include "frontends/text/chat/renderer.h"
#include "frontends/text/text_files.h"

namespace gemlet {
namespace {

Result<chat::TemplateKind> choose_template(const Options& options) {
    const Result<TextFiles> files = TextFiles::open(options.model);
    GEMLET_TRY(files);
    const Result<chat::TemplateChoice> choice = files->chat_template();
    GEMLET_TRY(choice);
    chat::TemplateKind kind = choice->kind;
    if (!chat::template_kind_named(options.template_name, kind)) note_template(*choice);
    return kind;
}

Result<std::string> render(chat::TemplateKind kind, std::string_view text) {
    const Result<Json> request = parse_json(text, DuplicateKeys::last_wins);
    if (!request) {
        return Status(StatusCode::bad_argument, "not JSON from this byte on", {},
                      request.error().number());
    }
    const Json* messages = request->find("messages");
    if (messages == nullptr) {
        return Status(StatusCode::bad_argument, "not an object with messages");
    }
    const Json none;
    const Json* tools = request->find("tools");
    const Json* flags = request->find("flags");
    const Result<chat::Prompt> prompt =
        chat::render_prompt(kind, *messages, tools != nullptr ? *tools : none,
                            chat::render_options_from(flags != nullptr ? *flags : none));
    GEMLET_TRY(prompt);
    return chat::join_prompt(*prompt);
}

std::string render_line(chat::TemplateKind kind, std::string_view line) {
    const Result<std::string> prompt = render(kind, line);
    if (!prompt) return error_line(prompt.error().message());
    Json object = Json::object();
    return write_json(object.set("prompt", Json::of(*prompt)));
}

}  // namespace

Failure render_command(const Options& options) {
    const Result<chat::TemplateKind> kind = choose_template(options);
    if (!kind) return {kind.error(), options.model};
    if (options.jsonl) {
        return answer_lines([&](std::string_view line) { return render_line(*kind, line); });
    }
    const bool from_input = !options.has_text || options.text == "-";
    const Result<std::string> text = from_input ? read_input() : read_file(options.text);
    if (!text) return text.error();
    const Result<std::string> prompt = render(*kind, *text);
    if (!prompt) return {prompt.error(), from_input ? "standard input" : options.text};
    Output out;
    out.write(*prompt);
    out.end_for_terminal();
    return out.finish();
}

}  // namespace gemlet
