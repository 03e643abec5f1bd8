# The server that others' tests judge. Its messages are generated beside it.
set(conformance_messages ${CMAKE_CURRENT_BINARY_DIR}/conformance)
set(conformance_sources)
foreach(name conformance interop)
  add_custom_command(
    OUTPUT ${conformance_messages}/${name}.pb-c.c ${conformance_messages}/${name}.pb-c.h
    COMMAND ${CMAKE_COMMAND} -E make_directory ${conformance_messages}
    COMMAND ${PROTOC_C} -I ${CMAKE_CURRENT_SOURCE_DIR}/conformance -I ${PROTOBUF_INCLUDE}
            --c_out=${conformance_messages} ${name}.proto
    DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/conformance/${name}.proto VERBATIM)
  list(APPEND conformance_sources ${conformance_messages}/${name}.pb-c.c)
endforeach()
add_library(zandaka_conformance_messages STATIC ${conformance_sources})
target_include_directories(zandaka_conformance_messages SYSTEM PUBLIC ${conformance_messages})
target_link_libraries(zandaka_conformance_messages PUBLIC zandaka_proto)
file(GLOB conformance_files CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/conformance/*.c)
add_executable(zandaka_conformance ${conformance_files})
target_include_directories(zandaka_conformance PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
target_link_libraries(zandaka_conformance PRIVATE zandaka_conformance_messages zandaka_app)
set_target_properties(zandaka_conformance PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
