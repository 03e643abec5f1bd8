# Checks of the source.
add_test(NAME check_format COMMAND ${CMAKE_SOURCE_DIR}/scripts/check_format.sh)
add_test(NAME check_layers COMMAND ${CMAKE_SOURCE_DIR}/scripts/check_layers.py
  ${CMAKE_SOURCE_DIR}/src)
add_test(NAME check_tidy COMMAND ${CMAKE_SOURCE_DIR}/scripts/check_tidy.sh ${CMAKE_BINARY_DIR})
set_tests_properties(check_tidy PROPERTIES TIMEOUT 1200)

# The messages for Python's clients, which are not ours.
set(python_messages ${CMAKE_BINARY_DIR}/python)
set(python_protos zandaka/v1/transaction.proto zandaka/v1/balance_service.proto
  google/rpc/status.proto google/rpc/error_details.proto google/api/field_behavior.proto)
add_custom_command(
  OUTPUT ${python_messages}/zandaka/v1/balance_service_pb2.py
  COMMAND ${CMAKE_COMMAND} -E make_directory ${python_messages}
  COMMAND ${PROTOC} -I ${CMAKE_SOURCE_DIR}/proto -I ${PROTOBUF_INCLUDE}
          --python_out=${python_messages} ${python_protos}
  WORKING_DIRECTORY ${CMAKE_SOURCE_DIR}/proto
  DEPENDS ${CMAKE_SOURCE_DIR}/proto/zandaka/v1/transaction.proto
          ${CMAKE_SOURCE_DIR}/proto/zandaka/v1/balance_service.proto
  VERBATIM)
add_custom_target(python_messages ALL
  DEPENDS ${python_messages}/zandaka/v1/balance_service_pb2.py)

# Each tests/outside/test_*.py runs against the real binary.
file(GLOB outside CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/outside/test_*.py)
foreach(source ${outside})
  get_filename_component(name ${source} NAME_WE)
  string(REGEX REPLACE "^test_" "outside_" name ${name})
  add_test(NAME ${name} COMMAND /usr/bin/python3 ${source})
  set_tests_properties(${name} PROPERTIES TIMEOUT 900 SKIP_RETURN_CODE 77
    ENVIRONMENT "ZANDAKA=$<TARGET_FILE:zandaka>;ZANDAKA_MESSAGES=${python_messages}")
endforeach()
