// gemlet.h alone, as C11: every structure can be written with designated initialisers, and begins
// with its size.
#include <gemlet.h>

_Static_assert(offsetof(gemlet_model_options, size) == 0, "size first");
_Static_assert(offsetof(gemlet_facts, size) == 0, "size first");
_Static_assert(offsetof(gemlet_sampling, size) == 0, "size first");
_Static_assert(offsetof(gemlet_chat_options, size) == 0, "size first");
_Static_assert(offsetof(gemlet_answer, size) == 0, "size first");
_Static_assert(offsetof(gemlet_media, size) == 0, "size first");

gemlet_status open_from_c11(const char* path, size_t path_bytes, gemlet_model** model);

gemlet_status open_from_c11(const char* path, size_t path_bytes, gemlet_model** model) {
    const gemlet_model_options options = {.size = sizeof(options), .n_threads = 1, .context = 64};
    return gemlet_model_open(path, path_bytes, &options, model);
}

gemlet_status ask_about_picture(gemlet_session* session, const void* bytes, size_t n_bytes,
                                const char* text, size_t text_bytes);

gemlet_status ask_about_picture(gemlet_session* session, const void* bytes, size_t n_bytes,
                                const char* text, size_t text_bytes) {
    const gemlet_media picture = {
        .size = sizeof(picture), .kind = GEMLET_MEDIA_IMAGE, .bytes = bytes, .n_bytes = n_bytes};
    const gemlet_chat_options options = {.size = sizeof(options), .media = &picture, .n_media = 1};
    return gemlet_session_ask(session, text, text_bytes, &options, NULL);
}
