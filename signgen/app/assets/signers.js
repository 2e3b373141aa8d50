// The signer picker: a group of radio buttons whose choice is the component's value.
const buttons = [...element.querySelectorAll("input[type=radio]")];
const choose = () => buttons.forEach((button) => (button.checked = button.value === props.value));
buttons.forEach((button) => button.addEventListener("change", () => (props.value = button.value)));
watch("value", choose);
choose();
